package presence

import (
	"maps"
	"slices"
	"time"

	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

const (
	// maxTallies bounds the deployments that are counted at one time: one for each
	// workload of a large cluster.
	maxTallies = 10_000
	// maxTallied bounds the revisions of one tally. A deployment has two, and those
	// that it superseded.
	maxTallied = 100
	// overlap is how much of the time before a deployment a message around its start may
	// cover: a beat, and a moment on the way.
	overlap = 2 * time.Second
)

// Served is what was answered of one revision, or by the ingresses themselves.
type Served struct {
	Requests uint64
	// Failed are those with a status of 500 or more, and all that no replica took.
	Failed uint64
}

// Tally is what all ingresses served of one workload while a deployment of it was
// in progress. Counts come as differences, so each request is in it once; those
// around the start may be up to one message too many.
type Tally struct {
	Since time.Time
	// Revisions by number; 0 is what the ingresses answered themselves.
	Revisions map[uint64]Served
	// Closed is when the deployment was seen to have ended; zero before.
	Closed time.Time
	// Unanswered are ingresses that have not said yet what they served until then.
	Unanswered []string
	// Interrupted are ingresses whose counts are not those of the deployment alone, or not
	// all of them: a message may be lost with its session, or cover a time before.
	Interrupted []string
}

// tally is a Tally under way.
type tally struct {
	workload state.WorkloadID
	// start is when the deployment began, since when it is counted.
	start, since time.Time
	revisions    map[uint64]Served
	closed       time.Time
	request      uint64
	waiting      map[string]bool
	interrupted  map[string]bool
}

// tallies are found by deployment, and by workload for each message.
type tallies struct {
	byID       map[string]*tally
	byWorkload map[state.WorkloadID]map[string]*tally
	// request is the newest number that ingresses were asked to answer with.
	request uint64
	asked   chan struct{}
	settled chan struct{}
}

func newTallies() tallies {
	return tallies{
		byID: map[string]*tally{}, byWorkload: map[state.WorkloadID]map[string]*tally{},
		asked: make(chan struct{}), settled: make(chan struct{}),
	}
}

// end wakes whoever waits, because there is nothing to wait for any more.
func (t *tallies) end() {
	close(t.asked)
	close(t.settled)
}

// Since returns when this leader began.
func (p *Presence) Since() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.since
}

// OpenTally counts what is served of a workload from now on, for a deployment that
// began at start. Counting one that is counted already changes nothing.
func (p *Presence) OpenTally(deployment string, workload state.WorkloadID, start time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.tallies.byID[deployment] != nil || len(p.tallies.byID) >= maxTallies {
		return
	}
	since := start
	if since.Before(p.since) {
		since = p.since
	}
	next := &tally{workload: workload, start: start, since: since, revisions: map[uint64]Served{}, interrupted: map[string]bool{}}
	p.tallies.byID[deployment] = next
	if p.tallies.byWorkload[workload] == nil {
		p.tallies.byWorkload[workload] = map[string]*tally{}
	}
	p.tallies.byWorkload[workload][deployment] = next
}

// CloseTally says that a deployment has ended, and asks the ingresses for what they
// served until then. The tally is complete when each of them has answered.
func (p *Presence) CloseTally(deployment string, ingresses []string, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.tallies.byID[deployment]
	if t == nil || !t.closed.IsZero() {
		return
	}
	p.tallies.request++
	t.closed, t.request, t.waiting = now, p.tallies.request, map[string]bool{}
	for _, id := range ingresses {
		t.waiting[id] = true
	}
	wakeAll(&p.tallies.asked)
	wakeAll(&p.tallies.settled)
}

// DropTally ends the counting for a deployment.
func (p *Presence) DropTally(deployment string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.tallies.byID[deployment]
	if t == nil {
		return
	}
	delete(p.tallies.byID, deployment)
	delete(p.tallies.byWorkload[t.workload], deployment)
	if len(p.tallies.byWorkload[t.workload]) == 0 {
		delete(p.tallies.byWorkload, t.workload)
	}
}

// Tallies returns all tallies by deployment. The caller owns the result.
func (p *Presence) Tallies() map[string]Tally {
	p.mu.Lock()
	defer p.mu.Unlock()
	result := make(map[string]Tally, len(p.tallies.byID))
	for id, t := range p.tallies.byID {
		result[id] = Tally{
			Since: t.since, Revisions: maps.Clone(t.revisions), Closed: t.closed,
			Unanswered:  slices.Sorted(maps.Keys(t.waiting)),
			Interrupted: slices.Sorted(maps.Keys(t.interrupted)),
		}
	}
	return result
}

// TallySettled returns a channel that is closed when an ingress has answered.
func (p *Presence) TallySettled() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tallies.settled
}

// Asked returns the number of the newest request for statistics, 0 before the first,
// and a channel that is closed at the next one.
func (p *Presence) Asked() (request uint64, changed <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tallies.request, p.tallies.asked
}

// Interrupt notes that the session of an ingress ended: what it sent last may not
// have arrived.
func (p *Presence) Interrupt(ingress string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.tallies.byID {
		if t.counts(ingress) {
			t.interrupted[ingress] = true
		}
	}
}

// counts says whether what an ingress sends now belongs to the tally: until it has
// answered what was asked at the end.
func (t *tally) counts(ingress string) bool { return t.closed.IsZero() || t.waiting[ingress] }

// mixed notes that a message has requests from before the deployment in it, as that of an
// ingress which was away for long.
func (t *tallies) mixed(ingress string, workload state.WorkloadID, covers time.Duration, now time.Time) {
	for _, next := range t.byWorkload[workload] {
		if next.counts(ingress) && now.Add(-covers).Before(next.start.Add(-overlap)) {
			next.interrupted[ingress] = true
		}
	}
}

// add counts a sample in every tally of its workload. It returns false when one has
// no room.
func (t *tallies) add(ingress string, series Series, sample *runwayv1.WorkloadStats) bool {
	fits := true
	for _, next := range t.byWorkload[series.Workload] {
		if !next.counts(ingress) {
			continue
		}
		served, known := next.revisions[series.Revision]
		if !known && len(next.revisions) >= maxTallied {
			fits = false
			continue
		}
		next.revisions[series.Revision] = served.plus(series.Revision, sample)
	}
	return fits
}

// answered notes which request a message of an ingress answers.
func (t *tallies) answered(ingress string, request uint64) {
	if request == 0 {
		return
	}
	for _, next := range t.byID {
		if !next.closed.IsZero() && request >= next.request && next.waiting[ingress] {
			delete(next.waiting, ingress)
			wakeAll(&t.settled)
		}
	}
}

// forget waits no longer for an ingress that was removed.
func (t *tallies) forget(ingress string) {
	for _, next := range t.byID {
		if next.waiting[ingress] {
			next.interrupted[ingress] = true
			delete(next.waiting, ingress)
			wakeAll(&t.settled)
		}
	}
}

func (s Served) plus(revision uint64, sample *runwayv1.WorkloadStats) Served {
	for class, n := range sample.GetResponses() {
		s.Requests += n
		if revision == 0 || class == statusClasses-1 {
			s.Failed += n
		}
	}
	return s
}

func wakeAll(c *chan struct{}) {
	close(*c)
	*c = make(chan struct{})
}
