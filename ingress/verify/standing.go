package verify

import (
	"sync/atomic"
	"time"
)

// holds is for how long an answered beat proves that the routes in use are true, from
// when it was sent. The coordinator knew the ingress then, and keeps every node port
// that an ingress it knows may route to until that ingress has confirmed, whether it
// counts as live or as lost. Only one that an operator removes confirms nothing first:
// it hears of that by the end of its session, or has no word for at most this long.
const holds = 2 * time.Second

// Standing says until when the coordinator certainly keeps the node ports that this
// ingress routes to. It is judged by the monotonic clock, so that a process that stood
// still knows it as soon as it runs again. The zero value stands for nothing; use
// NewStanding. Safe for concurrent use.
type Standing struct {
	base  time.Time
	until atomic.Int64 // nanoseconds after base
}

// NewStanding returns that of an ingress that the coordinator has not answered yet.
func NewStanding() *Standing { return &Standing{base: time.Now()} }

// Extend says that the coordinator has answered a beat that was sent then, in a
// session whose routes are in use.
func (s *Standing) Extend(sent time.Time) {
	next := int64(sent.Add(holds).Sub(s.base))
	for {
		until := s.until.Load()
		if next <= until || s.until.CompareAndSwap(until, next) {
			return
		}
	}
}

// End says that the coordinator keeps nothing for this ingress any more: it was
// removed, or another process confirms in its name.
func (s *Standing) End() { s.until.Store(0) }

// Good tells whether the routes in use are certainly true now.
func (s *Standing) Good(now time.Time) bool { return int64(now.Sub(s.base)) < s.until.Load() }
