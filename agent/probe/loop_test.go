package probe

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// appears dials with success from the given time after its making on, except while broken.
type appears struct {
	from   time.Time
	broken func() bool
}

func (a appears) dial(context.Context, string, string) (net.Conn, error) {
	if time.Now().Before(a.from) || (a.broken != nil && a.broken()) {
		return nil, errors.New("connection refused")
	}
	near, far := net.Pipe()
	_ = far.Close()
	return near, nil
}

func TestRun_ReadySoonAfterTheReplicaListens(t *testing.T) {
	for _, after := range []time.Duration{0, 30 * time.Millisecond, 2 * time.Second, 40 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			started := time.Now()
			spec := Spec{Kind: TCP, Timeout: time.Second, Period: 10 * time.Second, FailureThreshold: 3}
			var took time.Duration
			New(appears{from: started.Add(after)}.dial).Run(ctx, spec, "replica", Verdict{}, func(v Verdict) {
				if v.Ready {
					took = time.Since(started)
					cancel()
				}
			})
			if late := took - after; late > max(eager, after/lateness)+2*confirmDelay {
				t.Errorf("listening after %s: ready %s later", after, late)
			}
		})
	}
}

func TestRun_UnreadyAfterThresholdAndBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		started := time.Now()
		outage := func() bool { s := time.Since(started); return s > 30*time.Second && s < 90*time.Second }
		spec := Spec{Kind: TCP, Timeout: time.Second, Period: 10 * time.Second, FailureThreshold: 3}
		var changes []time.Duration
		ready := false
		New(appears{broken: outage}.dial).Run(ctx, spec, "replica", Verdict{}, func(v Verdict) {
			if v.Ready != ready {
				ready = v.Ready
				changes = append(changes, time.Since(started).Round(time.Second))
			}
			if len(changes) == 3 {
				cancel()
			}
		})
		if changes[0] != 0 || changes[1] != 50*time.Second || changes[2] < 90*time.Second || changes[2] > 92*time.Second {
			t.Errorf("ready changed at %v, want 0s, 50s (third failure), 90s to 92s", changes)
		}
	})
}

func TestRun_SeedKeepsAReplicaReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		spec := Spec{Kind: TCP, Timeout: time.Second, Period: time.Second, FailureThreshold: 3}
		answers := 0
		broken := appears{broken: func() bool { return true }}
		New(broken.dial).Run(ctx, spec, "replica", Verdict{Ready: true}, func(v Verdict) {
			answers++
			if v.Ready != (answers < 3) || v.Failing != (answers == 3) {
				t.Errorf("after %d failures: got %+v", answers, v)
			}
			if answers == 3 {
				cancel()
			}
		})
	})
}

func TestRun_WaitsInitialDelayAndEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		defer cancel()
		spec := Spec{Kind: TCP, Timeout: time.Second, Period: time.Second, InitialDelay: 5 * time.Second}
		New(appears{}.dial).Run(ctx, spec, "replica", Verdict{}, func(v Verdict) { t.Errorf("asked during the delay: %+v", v) })
	})
}
