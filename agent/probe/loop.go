package probe

import (
	"context"
	"time"
)

// Run asks address again and again until ctx ends: fast until the replica is ready, then once each period. It calls report
// after each answer, from the calling goroutine. seed is the verdict to begin with, so that a replica which was ready before
// the agent restarted stays so until its answers say otherwise.
func (p *Prober) Run(ctx context.Context, spec Spec, address string, seed Verdict, report func(Verdict)) {
	track := tracker{spec: spec, verdict: seed}
	started := time.Now()
	wait := time.NewTimer(spec.InitialDelay)
	defer wait.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-wait.C:
		}
		result := p.Once(ctx, spec, address)
		if ctx.Err() != nil {
			return // an answer cut off by the end says nothing about the replica
		}
		report(track.add(result))
		wait.Reset(track.delay(time.Since(started)))
	}
}
