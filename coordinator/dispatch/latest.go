package dispatch

import "sync"

// latest is a number that only rises, with one wake-up however often it rose.
type latest struct {
	wake  chan struct{}
	mu    sync.Mutex
	value uint64
}

func newLatest() *latest { return &latest{wake: make(chan struct{}, 1)} }

func (l *latest) set(value uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.value = max(l.value, value)
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *latest) get() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.value
}
