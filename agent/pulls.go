package agent

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/runway-platform/runway/agent/runtime"
)

// pull makes an image present. One that is on the node needs no turn: it must not wait for other people's registries. How long
// the rest may take is bounded by the runtime, from the moment the turn comes.
func (e *executor) pull(ctx context.Context, out *result) {
	began := time.Now()
	request := runtime.PullRequest{Ref: out.image, PlainHTTP: e.config.plainHTTP(out.image), LocalOnly: true}
	_, out.err = e.deps.Runtime.Pull(ctx, request)
	if errors.Is(out.err, runtime.ErrImageNotFound) {
		began, out.err = e.pullRemote(ctx, out.space, request)
	}
	out.took = time.Since(began)
}

func (e *executor) pullRemote(ctx context.Context, space string, request runtime.PullRequest) (began time.Time, err error) {
	release, err := e.pulls.take(ctx, space, request.Ref)
	began = time.Now()
	if err != nil {
		return began, err
	}
	defer release()
	request.LocalOnly = false
	_, err = e.deps.Runtime.Pull(ctx, request)
	return began, err
}

// pulls are the turns of pulls on a node. A space has at most a third of them, so that a registry which hangs delays those who
// use it and nobody else; whose space has the fewest under way comes next.
type pulls struct {
	mu       sync.Mutex
	free     int
	perSpace int
	running  map[string]int
	waiting  []*waitingPull // in the order of their arrival
}

type waitingPull struct {
	space, image string
	turn         chan struct{}
}

func newPulls(count int) *pulls {
	return &pulls{free: count, perSpace: (count + 2) / 3, running: map[string]int{}}
}

// take waits for a turn, or ctx's end. The turn lasts until release is called.
func (p *pulls) take(ctx context.Context, space, image string) (release func(), err error) {
	mine := &waitingPull{space: space, image: image, turn: make(chan struct{})}
	p.mu.Lock()
	p.waiting = append(p.waiting, mine)
	p.grant()
	p.mu.Unlock()
	release = func() { p.release(space) }
	select {
	case <-mine.turn:
		return release, nil
	case <-ctx.Done():
		p.leave(mine, release)
		return nil, ctx.Err()
	}
}

// leave gives up waiting, or the turn that came at the same moment.
func (p *pulls) leave(mine *waitingPull, release func()) {
	p.mu.Lock()
	at := slices.Index(p.waiting, mine)
	if at >= 0 {
		p.waiting = slices.Delete(p.waiting, at, at+1)
	}
	p.mu.Unlock()
	if at < 0 {
		release()
	}
}

func (p *pulls) release(space string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free++
	if p.running[space]--; p.running[space] == 0 {
		delete(p.running, space)
	}
	p.grant()
}

// grant gives free turns to those who wait; callers hold the lock.
func (p *pulls) grant() {
	for p.free > 0 {
		next := -1
		for i, w := range p.waiting {
			if p.running[w.space] < p.perSpace && (next < 0 || p.running[w.space] < p.running[p.waiting[next].space]) {
				next = i
			}
		}
		if next < 0 {
			return
		}
		chosen := p.waiting[next]
		p.waiting = slices.Delete(p.waiting, next, next+1)
		p.free--
		p.running[chosen.space]++
		close(chosen.turn)
	}
}

// queued reports whether the pull of an image waits for its turn.
func (p *pulls) queued(image string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.waiting, func(w *waitingPull) bool { return w.image == image })
}
