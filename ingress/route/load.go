package route

import (
	"sync/atomic"
	"time"
)

const (
	// slowStart is how long a new replica gets less than its share: what warms up
	// (connections, caches, a compiler) mostly has within a few seconds.
	slowStart = 5 * time.Second
	// minWeight is the share of a replica that has just come.
	minWeight = 0.1
	// ejection is how long a replica that could not be reached is passed over: long
	// enough to keep nearly all requests away, short enough for a restart in place.
	ejection = time.Second
)

// load is what this ingress knows of one replica, over all tables.
type load struct {
	inFlight atomic.Int64
	unrouted atomic.Bool
	// left is when it lost its route, in Unix nanoseconds; 0 while it has one.
	left atomic.Int64
	// since is when the replica came; zero when it was there before.
	since time.Time
	// until is when an ejected replica is tried again; nil when it is not ejected.
	until atomic.Pointer[time.Time]
}

// mark says whether the replica has no route, and since when.
func (l *load) mark(unrouted bool, now time.Time) {
	switch {
	case !unrouted:
		l.left.Store(0)
	case l.left.Load() == 0:
		l.left.Store(now.UnixNano())
	}
	l.unrouted.Store(unrouted)
}

// weight returns the share of a full replica's requests that it gets, up to 1.
func (l *load) weight(now time.Time) float64 {
	age := now.Sub(l.since)
	if age >= slowStart {
		return 1
	}
	return max(minWeight, float64(age)/float64(slowStart))
}

// ejected tells whether the replica is to be passed over.
func (l *load) ejected(now time.Time) bool {
	until := l.until.Load()
	return until != nil && now.Before(*until)
}

func (l *load) eject(now time.Time) {
	until := now.Add(ejection)
	l.until.Store(&until)
}

// claim tells whether a request may go to the replica after it was picked: of
// those that find the ejection over, one tries whether it can be reached, and
// ejects it for the others meanwhile.
func (l *load) claim(now time.Time) bool {
	until := l.until.Load()
	if until == nil || now.Before(*until) {
		return true
	}
	next := now.Add(ejection)
	return l.until.CompareAndSwap(until, &next)
}

func (l *load) restore() {
	if l.until.Load() != nil {
		l.until.Store(nil)
	}
}
