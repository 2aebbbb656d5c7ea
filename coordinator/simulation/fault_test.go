package simulation

import (
	"context"
	"flag"
	"fmt"
	"testing"
	"time"
)

// Seeds to run; -seed runs one again.
var (
	seeds   = flag.Uint64("seeds", 12, "random storms to run")
	oneSeed = flag.Int64("seed", -1, "run this storm alone")
)

// converging is how long all may take to be as asked once nothing breaks any more: a
// deployment may roll for ten minutes without progress, and be undone for ten.
const converging = 25 * time.Minute

func TestStorm_KeepsEveryPromise(t *testing.T) {
	first, last := uint64(0), *seeds
	if *oneSeed >= 0 {
		first, last = uint64(*oneSeed), uint64(*oneSeed)+1
	}
	for seed := first; seed < last; seed++ {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			sound(t, Config{Seed: seed, Nodes: 3, Ingresses: 2, Ports: 60, Behave: Erratic(seed)}, func(w *World, ctx context.Context) {
				w.Deploy("d00", Spec(mebibyte), 3)
				w.Await("d00", time.Minute)
				w.Storm(ctx, 3*time.Minute)
				awaitConverged(t, w, ctx)
			})
			if t.Failed() {
				t.Logf("again: go test ./coordinator/simulation -run TestStorm -seed %d -v", seed)
			}
		})
	}
}

func awaitConverged(t *testing.T, w *World, ctx context.Context) {
	t.Helper()
	const look = 5 * time.Second
	var missing string
	for range int(converging / look) {
		if missing = w.Converged(); missing == "" {
			return
		}
		sleep(ctx, look)
	}
	t.Errorf("not as asked %s after the last fault: %s", converging, missing)
}
