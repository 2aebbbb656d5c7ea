package defaults

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// What has an endpoint is asked for its answers; what has none is asked what its
// liveness probe asks, for as long as a start may take, or nothing.
func TestStartupProbe_FollowsTheEndpoint(t *testing.T) {
	t.Parallel()
	liveness := &runwayv1.Probe{
		Kind: runwayv1.ProbeKind_PROBE_KIND_TCP, Period: durationpb.New(7 * time.Second), FailureThreshold: 3, Declared: true,
	}
	for _, test := range []struct {
		name string
		spec *runwayv1.RevisionSpec
		kind runwayv1.ProbeKind // 0: no probe
		path string
		// failures that are allowed
		threshold uint32
		declared  bool
	}{
		{"public", &runwayv1.RevisionSpec{Public: true}, runwayv1.ProbeKind_PROBE_KIND_HTTP, "/", 3, false},
		{"internal with a liveness probe", &runwayv1.RevisionSpec{Internal: true, LivenessProbe: liveness}, runwayv1.ProbeKind_PROBE_KIND_HTTP, "/", 3, false},
		{"gRPC", &runwayv1.RevisionSpec{Public: true, Protocol: runwayv1.Protocol_PROTOCOL_H2C}, runwayv1.ProbeKind_PROBE_KIND_GRPC, "", 3, false},
		{"worker", &runwayv1.RevisionSpec{}, 0, "", 0, false},
		{"worker with a liveness probe", &runwayv1.RevisionSpec{LivenessProbe: liveness}, runwayv1.ProbeKind_PROBE_KIND_TCP, "", 43, true},
	} {
		got := StartupProbe(test.spec)
		if (got == nil) != (test.kind == 0) || got.GetKind() != test.kind || got.GetPath() != test.path ||
			got.GetFailureThreshold() != test.threshold || got.GetDeclared() != test.declared {
			t.Errorf("%s: %v", test.name, got)
		}
	}
	if liveness.GetFailureThreshold() != 3 {
		t.Error("the liveness probe itself was changed")
	}
}

func TestCPURequestMilli(t *testing.T) {
	t.Parallel()
	for limit, want := range map[int64]int64{10: 10, 99: 10, 100: 10, 2000: 200} {
		if got := CPURequestMilli(limit); got != want {
			t.Errorf("of %d: %d, want %d", limit, got, want)
		}
	}
}
