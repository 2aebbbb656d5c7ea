package loop

import (
	"log/slog"
	"strings"
	"testing"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

func TestGuard_SaysOnceWhoIsPassedOverAndAgainWhenItComesBack(t *testing.T) {
	var log strings.Builder
	g := NewGuard("placement", slog.New(slog.NewTextHandler(&log, nil)))
	key := &runwayv1.WorkloadKey{Space: "default", Service: "web", Environment: "production"}
	bad := func() bool { return g.Do(key, func() { panic("index out of range") }) }
	good := func() bool { return g.Do(key, func() {}) }

	if bad() || bad() {
		t.Error("a panic came to its end")
	}
	said := g.Events()
	if len(said) != 1 {
		t.Fatalf("said %v, want one command", said)
	}
	events := said[0].(*runwayv1.RecordEvents).GetEvents()
	want := "placement passes this service over, because of a defect: index out of range"
	if len(events) != 1 || events[0].GetMessage() != want || events[0].GetKind() != "workload.quarantined" || events[0].GetCode() != "RW-6009" {
		t.Errorf("said %v, want once %q", events, want)
	}
	if !strings.Contains(log.String(), "guard_test.go") {
		t.Errorf("the log has no stack: %s", log.String())
	}
	if bad(); g.Events() != nil {
		t.Error("the same defect was said twice")
	}
	if !good() {
		t.Error("a look without a defect did not come to its end")
	}
	if bad(); g.Events() == nil {
		t.Error("a defect that came back was not said")
	}
}
