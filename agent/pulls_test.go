package agent

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runway-platform/runway/agent/runtime"
	"github.com/runway-platform/runway/agent/runtimetest"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

func inSpace(space string) func(*runwayv1.Assignment) {
	return func(a *runwayv1.Assignment) { a.Workload.Space = space }
}

// A space whose registry hangs delays neither the others nor images that are on the node.
func TestPull_SpacesDoNotBlockEachOther(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		r.runtime.AddImage(imageRef("here"), runtimetest.Behavior{})
		if _, err := r.runtime.Pull(t.Context(), runtime.PullRequest{Ref: imageRef("here")}); err != nil {
			t.Fatal(err)
		}
		hanging := []string{"h1", "h2", "h3", "h4"}
		var all []*runwayv1.Assignment
		for i, image := range hanging {
			r.runtime.AddImage(imageRef(image), runtimetest.Behavior{PullTime: time.Hour})
			all = append(all, assignment(image, 20010+uint32(i), withImage(image), inSpace("slow")))
		}
		r.assign(all...)
		time.Sleep(time.Second)
		r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{PullTime: time.Second})
		all = append(all, assignment("other", 20001, withImage("web"), inSpace("fast")), assignment("local", 20002, withImage("here"), inSpace("slow")))
		r.assign(all...)
		took := r.untilReady("other", "local")
		if took > 1500*time.Millisecond {
			t.Errorf("ready after %s, want no longer than their own pulls", took)
		}
	})
}

func TestPull_WaitingForATurnIsSaidInTheCause(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		for _, image := range []string{"h1", "h2"} {
			r.runtime.AddImage(imageRef(image), runtimetest.Behavior{PullTime: time.Hour})
		}
		r.assign(assignment("a", 20001, withImage("h1")), assignment("b", 20002, withImage("h2")))
		r.untilPhase("a", "FAILED", 6*time.Minute)
		r.untilPhase("b", "FAILED", time.Second)
		var said []string
		for _, id := range []string{"a", "b"} {
			why := r.status(id).GetCause()
			said = append(said, why.GetCode()+" "+why.GetSummary())
		}
		slices.Sort(said)
		want := []string{
			string(code.ImageSlow) + " the image waited 5m0s for its turn behind other pulls of this node",
			string(code.ImageSlow) + " the image was not pulled within 5m0s",
		}
		if !slices.Equal(said, want) {
			t.Errorf("causes %q, want %q", said, want)
		}
	})
}

// The turns are bounded, fair to spaces, and none is lost to those who stop waiting.
func TestPulls_TurnsAreFairAndBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := newPulls(6)
		ctx, cancel := context.WithCancel(t.Context())
		var mu sync.Mutex
		var order []string
		var done sync.WaitGroup
		ask := func(space string, hold time.Duration) {
			done.Go(func() {
				release, err := turns.take(ctx, space, space)
				if err != nil {
					return
				}
				mu.Lock()
				order = append(order, space)
				mu.Unlock()
				time.Sleep(hold)
				release()
			})
			synctest.Wait()
		}
		turnsSoFar := func() string {
			mu.Lock()
			defer mu.Unlock()
			return strings.Join(order, "")
		}
		for range 5 {
			ask("a", time.Minute)
		}
		for _, space := range []string{"b", "b", "b", "c", "c"} {
			ask(space, time.Second)
		}
		if got := turnsSoFar(); got != "aabbcc" {
			t.Errorf("turns %q, want two for each space", got)
		}
		time.Sleep(1500 * time.Millisecond)
		synctest.Wait()
		if got := turnsSoFar(); got != "aabbccb" || !turns.queued("a") {
			t.Errorf("turns %q, want the third of b, and a waiting", got)
		}
		cancel()
		done.Wait()
		if turns.queued("a") || turns.free != 6 || len(turns.running) != 0 {
			t.Errorf("after all left: %d free, running %v, want 6 and none", turns.free, turns.running)
		}
	})
}
