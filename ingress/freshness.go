package ingress

import (
	"sync"
	"time"
)

// freshness is how old the routes may be: of this moment while a session follows
// them, and as old as the end of that otherwise.
type freshness struct {
	mu      sync.Mutex
	current bool
	asOf    time.Time
}

// set says when the routes were current: when they were saved.
func (f *freshness) set(asOf time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if asOf.After(f.asOf) {
		f.asOf = asOf
	}
}

// begin says that a session follows the routes from now on.
func (f *freshness) begin() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.current = true
}

// end says that the session is over, or that newer routes are refused.
func (f *freshness) end(now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.current {
		f.current, f.asOf = false, now
	}
}

// age returns how old the routes may be, and false before the first ones.
func (f *freshness) age(now time.Time) (time.Duration, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.current {
		return 0, true
	}
	return max(0, now.Sub(f.asOf)), !f.asOf.IsZero()
}
