package dns

import (
	"log/slog"
	"sync"
	"sync/atomic"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// Follower is a Source that keeps up with a set of routes which is replaced as a
// whole. Records of a new set are built by the first question after the change,
// and every question that begins later sees them: once the set is in use, no
// older answer is given.
type Follower struct {
	routes func() *runwayv1.RouteSet
	log    *slog.Logger

	mu    sync.Mutex // serialises building
	built atomic.Pointer[built]
}

// built remembers which set records were made of. Sets are never changed, so the
// pointer tells them apart.
type built struct {
	set     *runwayv1.RouteSet
	records *Records
}

// Follow returns a Follower of what routes returns: the full set in use, the same
// pointer as long as it is the same set.
func Follow(routes func() *runwayv1.RouteSet, log *slog.Logger) *Follower {
	return &Follower{routes: routes, log: log.With("component", "dns")}
}

// Source

var _ Source = (*Follower)(nil)

// Records returns the records of the set in use, nil before the first set.
func (f *Follower) Records() *Records {
	if b := f.built.Load(); b != nil && b.set == f.routes() {
		return b.records
	}
	return f.build()
}

func (f *Follower) build() *Records {
	f.mu.Lock()
	defer f.mu.Unlock()
	set := f.routes() // read again: another set may be in use since
	if b := f.built.Load(); b != nil && b.set == set {
		return b.records
	}
	b := &built{set: set, records: Build(set)}
	if b.records != nil {
		for _, problem := range b.records.problems {
			f.log.Warn("record left out", "generation", set.GetGeneration(), "reason", problem)
		}
	}
	f.built.Store(b)
	return b.records
}
