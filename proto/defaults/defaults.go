// Package defaults holds what a spec means where it says nothing, and the least that
// it may ask for: once, because a manifest fills a spec on the user's machine, the
// coordinator fills one that came without a manifest, and an agent runs both.
package defaults

import (
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

const (
	// ContainerPort is where web services listen that nobody told otherwise.
	ContainerPort = 8080
	// RequestTimeout bounds a request without an answer: longer than an upload or a
	// report takes, as services that move here rely on.
	RequestTimeout = 300 * time.Second
	// TerminationGrace is SIGTERM to SIGKILL, DrainTimeout is un-route to SIGTERM.
	TerminationGrace = 30 * time.Second
	DrainTimeout     = 30 * time.Second
	// MaxReplicas is more than most services need, and bounds a typing mistake.
	MaxReplicas = 100
)

// Resources of one replica.
const (
	CPULimitMilli = 1000
	MemoryBytes   = 512 << 20
	// MinCPUMilli is the smallest quota that the kernel's scheduler can give: 1 ms
	// of each 100 ms.
	MinCPUMilli = 10
	// MinMemoryBytes is what a runtime needs to start any process at all.
	MinMemoryBytes = 6 << 20
	// DiskBytes holds the log segments of a replica and a modest writable layer.
	DiskBytes = 256 << 20
	// Pids is more than any web service needs and few enough that a fork bomb leaves
	// the node's own processes alone.
	Pids = 512
	// cpuRequestPercent of the limit is reserved when nothing is asked for: web
	// services idle most of the time, and the limit is a ceiling.
	cpuRequestPercent = 10
)

// A probe that somebody wrote, where it says nothing.
const (
	ProbeTimeout          = time.Second
	ProbePeriod           = 10 * time.Second
	ProbeFailureThreshold = 3
)

// ShortestProbePeriod bounds what one replica may cost its node in probes.
const ShortestProbePeriod = 100 * time.Millisecond

// The probe that nobody wrote asks / of a service that never promised to answer it
// fast, so it is patient. A slow start is judged by the deployment's start budget.
const (
	UndeclaredTimeout          = 5 * time.Second
	UndeclaredPeriod           = 2 * time.Second
	UndeclaredFailureThreshold = 3
)

// StartBudget is how long a start may take that no startup probe of its own judges.
const StartBudget = 5 * time.Minute

// MostProbeFailures bounds how long a probe may be failed before something is done about
// it. It is what the start budget takes of the shortest periods, see StartupProbe; of the
// longest ones it is months.
const MostProbeFailures = uint32(StartBudget / ShortestProbePeriod)

// CPURequestMilli is what is reserved for a limit.
func CPURequestMilli(limit int64) int64 { return max(MinCPUMilli, limit*cpuRequestPercent/100) }

// StartupProbe is the probe of a service that declares none: any answer below 500 on
// /, or gRPC health of what speaks HTTP/2. What has no endpoint serves nobody, so
// that nothing is known of / there: it is ready when its liveness probe passes, and
// without one, when it runs (nil).
func StartupProbe(spec *runwayv1.RevisionSpec) *runwayv1.Probe {
	if !spec.GetPublic() && !spec.GetInternal() {
		return ofLiveness(spec.GetLivenessProbe())
	}
	p := &runwayv1.Probe{
		Kind: runwayv1.ProbeKind_PROBE_KIND_HTTP, Path: "/", InitialDelay: durationpb.New(0), Timeout: durationpb.New(UndeclaredTimeout),
		Period: durationpb.New(UndeclaredPeriod), FailureThreshold: UndeclaredFailureThreshold,
	}
	if spec.GetProtocol() == runwayv1.Protocol_PROTOCOL_H2C {
		p.Kind, p.Path = runwayv1.ProbeKind_PROBE_KIND_GRPC, ""
	}
	return p
}

// ofLiveness asks what a liveness probe asks, for as long as a start may take.
func ofLiveness(liveness *runwayv1.Probe) *runwayv1.Probe {
	if liveness == nil {
		return nil
	}
	p := proto.CloneOf(liveness)
	period := p.GetPeriod().AsDuration()
	if period <= 0 {
		period = ProbePeriod
	}
	p.FailureThreshold = max(p.GetFailureThreshold(), uint32((StartBudget+period-1)/period))
	return p
}
