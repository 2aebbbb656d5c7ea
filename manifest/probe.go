package manifest

import (
	"github.com/runway-platform/runway/proto/defaults"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// startupProbe is the declared probe, or the default one of the spec and a warning. A
// worker has none: it is ready when it runs.
func (d *draft) startupProbe(spec *runwayv1.RevisionSpec) (*runwayv1.Probe, string) {
	if d.probes[startup].declared {
		return d.declaredProbe(startup), ""
	}
	p := defaults.StartupProbe(spec)
	switch {
	case p == nil:
		return nil, ""
	case p.GetDeclared():
		return p, "no startup_probe and no endpoint: a replica is ready when its liveness_probe passes"
	case p.GetKind() == runwayv1.ProbeKind_PROBE_KIND_GRPC:
		return p, "no startup_probe: a replica is ready when gRPC health says SERVING"
	default:
		return p, "no startup_probe: a replica is ready when GET / answers below 500"
	}
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
