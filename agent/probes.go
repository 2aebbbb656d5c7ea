package agent

import (
	"cmp"
	"context"
	"net/netip"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/runway-platform/runway/agent/probe"
	"github.com/runway-platform/runway/proto/defaults"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// readinessSpec is the probe that makes a replica ready, and unready later.
func readinessSpec(spec *runwayv1.RevisionSpec) probe.Spec {
	p := spec.GetStartupProbe()
	if own := spec.GetReadinessProbe(); own != nil {
		p = own
	}
	if p.GetDeclared() {
		return probeSpec(p, spec.GetProtocol())
	}
	s := probeSpec(&runwayv1.Probe{Kind: p.GetKind(), Path: p.GetPath(), GrpcService: p.GetGrpcService()}, spec.GetProtocol())
	s.Timeout, s.Period, s.FailureThreshold = defaults.UndeclaredTimeout, defaults.UndeclaredPeriod, defaults.UndeclaredFailureThreshold
	return s
}

// livenessSpec reports false when a failing replica is not to be restarted.
func livenessSpec(spec *runwayv1.RevisionSpec) (probe.Spec, bool) {
	p := spec.GetLivenessProbe()
	s := probeSpec(p, spec.GetProtocol())
	s.Steady = true
	return s, p != nil
}

func probeSpec(p *runwayv1.Probe, protocol runwayv1.Protocol) probe.Spec {
	return probe.Spec{
		Kind:             probeKind(p.GetKind()),
		Path:             p.GetPath(),
		Service:          p.GetGrpcService(),
		H2C:              protocol == runwayv1.Protocol_PROTOCOL_H2C,
		Declared:         p.GetDeclared(),
		InitialDelay:     max(0, p.GetInitialDelay().AsDuration()),
		Timeout:          atLeast(p.GetTimeout(), defaults.ProbeTimeout),
		Period:           max(atLeast(p.GetPeriod(), defaults.ProbePeriod), defaults.ShortestProbePeriod),
		FailureThreshold: cmp.Or(int(p.GetFailureThreshold()), defaults.ProbeFailureThreshold),
	}
}

// atLeast is d when it is a length of time at all.
func atLeast(d *durationpb.Duration, fallback time.Duration) time.Duration {
	if asked := d.AsDuration(); asked > 0 {
		return asked
	}
	return fallback
}

func probeKind(kind runwayv1.ProbeKind) probe.Kind {
	switch kind {
	case runwayv1.ProbeKind_PROBE_KIND_TCP:
		return probe.TCP
	case runwayv1.ProbeKind_PROBE_KIND_GRPC:
		return probe.GRPC
	}
	return probe.HTTP
}

// probing is the probes that run on one attempt of a replica.
type probing struct {
	attempt int
	target  netip.AddrPort
	ctx     context.Context //nolint:containedctx // of the probes, of which one begins later
	cancel  context.CancelFunc
	// alive is true once the liveness probe runs.
	alive bool
}

// probeUpdate is a verdict on its way from a probe to the worker.
type probeUpdate struct {
	replica  string
	run      *probing
	liveness bool
	verdict  probe.Verdict
}

// superviseProbes makes the probes of a replica run exactly while its process does. The liveness probe begins once the attempt
// was ready: until then the startup probe judges.
func (w *worker) superviseProbes(ctx context.Context, r *replica) {
	now := w.probes[r.id]
	wanted := r.running() && r.port() != 0 && r.seen.place != nil && r.past.Condemned == nil && r.past.Failure == nil
	if now != nil && (!wanted || now.attempt != r.past.Attempt || now.target != r.target()) {
		now.cancel()
		delete(w.probes, r.id)
		now = nil
	}
	if !wanted {
		return
	}
	if now == nil {
		now = w.startProbes(ctx, r)
		w.probes[r.id] = now
	}
	if spec, declared := livenessSpec(r.spec()); declared && !now.alive && !r.past.ReadyAt.IsZero() {
		now.alive = true
		w.startProbe(r, now, spec, probe.Verdict{}, true)
	}
}

func (w *worker) startProbes(ctx context.Context, r *replica) *probing {
	run := &probing{attempt: r.past.Attempt, target: r.target()}
	run.ctx, run.cancel = context.WithCancel(ctx)
	seed := probe.Verdict{Ready: !r.past.ReadySince.IsZero()}
	r.seen.readiness, r.seen.liveness = seed, probe.Verdict{}
	w.startProbe(r, run, readinessSpec(r.spec()), seed, false)
	return run
}

func (w *worker) startProbe(r *replica, run *probing, spec probe.Spec, seed probe.Verdict, liveness bool) {
	update := probeUpdate{replica: r.id, run: run, liveness: liveness}
	w.running.Go(func() {
		w.deps.Prober.Run(run.ctx, spec, run.target.String(), seed, func(v probe.Verdict) {
			w.deps.Metrics.probed(spec.Kind, v.Last)
			report := update
			report.verdict = v
			w.inbox.putProbe(report)
		})
	})
}

// absorbProbe takes note of a verdict, unless its probe was ended meanwhile.
func (w *worker) absorbProbe(u probeUpdate) {
	r := w.replicas[u.replica]
	if r == nil || w.probes[u.replica] != u.run || !r.running() {
		return
	}
	if u.liveness {
		r.seen.liveness = u.verdict
		return
	}
	r.seen.readiness = u.verdict
	switch {
	case u.verdict.Last.Passed:
		r.seen.complaint = nil
	case u.verdict.Failing && (r.seen.complaint == nil || isNews(*r.seen.complaint, u.verdict.Last)):
		r.seen.complaint = &u.verdict.Last
	}
}

func (o *observed) forgetProbes() {
	o.readiness, o.liveness, o.complaint = probe.Verdict{}, probe.Verdict{}, nil
}
