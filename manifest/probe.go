package manifest

import (
	"fmt"

	"github.com/runway-platform/runway/proto/defaults"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// startupProbe is the declared probe, or the default one of the spec and a warning. A
// worker has none: it is ready when it runs.
func (d *draft) startupProbe(spec *runwayv1.RevisionSpec) (*runwayv1.Probe, string) {
	if d.probes[startup].declared {
		return d.declaredProbe(startup), d.unasked()
	}
	p := defaults.StartupProbe(spec)
	switch {
	case p == nil, d.probes[readiness].declared:
		return p, ""
	case p.GetDeclared():
		return p, "no startup_probe and no endpoint: a replica is ready when its liveness_probe passes"
	case p.GetKind() == runwayv1.ProbeKind_PROBE_KIND_GRPC:
		return p, "no startup_probe: a replica is ready when gRPC health says SERVING"
	default:
		return p, "no startup_probe: a replica is ready when GET / answers below 500"
	}
}

// unasked says which question of the startup probe is not asked: a replica is ready when
// its readiness probe passes.
func (d *draft) unasked() string {
	p, asked := d.probes[startup], d.probes[readiness]
	if question := p.path + p.grpcService; asked.declared && question != "" && question != asked.path+asked.grpcService {
		return fmt.Sprintf("spec.startup_probe: %s is not asked, since readiness_probe says when a replica is ready; it only says how long the start may take", question)
	}
	return ""
}

// declaredProbe is the probe of a block. Without path and grpc_service it asks for
// gRPC health of a gRPC back end, and for a TCP connection of any other.
func (d *draft) declaredProbe(slot probeSlot) *runwayv1.Probe {
	p := d.probes[slot]
	out := &runwayv1.Probe{
		Kind: runwayv1.ProbeKind_PROBE_KIND_TCP, Path: p.path, GrpcService: p.grpcService,
		InitialDelay: seconds(p.initialDelay), Timeout: seconds(p.timeout), Period: seconds(p.period),
		FailureThreshold: uint32(p.failureThreshold), Declared: true,
	}
	switch {
	case p.path != "":
		out.Kind = runwayv1.ProbeKind_PROBE_KIND_HTTP
	case p.grpcService != "" || d.protocol() == runwayv1.Protocol_PROTOCOL_H2C:
		out.Kind = runwayv1.ProbeKind_PROBE_KIND_GRPC
	}
	return out
}
