package containerd

import (
	"context"
	"sync"
)

// turns lets one caller per key go at a time.
type turns struct {
	mu   sync.Mutex
	busy map[string]chan struct{}
}

func newTurns() *turns {
	return &turns{busy: map[string]chan struct{}{}}
}

// take waits until the key is free, or for ctx's end. The turn lasts until release is called.
func (t *turns) take(ctx context.Context, key string) (release func(), err error) {
	for {
		done, mine := t.try(key)
		if mine {
			return func() { t.release(key, done) }, nil
		}
		select {
		case <-done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// try returns a channel that is closed at the end of the current turn, and whether that turn is the caller's.
func (t *turns) try(key string) (done chan struct{}, mine bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if done, found := t.busy[key]; found {
		return done, false
	}
	t.busy[key] = make(chan struct{})
	return t.busy[key], true
}

func (t *turns) release(key string, done chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.busy, key)
	close(done)
}
