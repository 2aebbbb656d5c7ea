package agent

import (
	"net/netip"
	"sync"
	"time"

	"github.com/runway-platform/runway/agent/network"
	"github.com/runway-platform/runway/agent/probe"
	"github.com/runway-platform/runway/agent/runtime"
)

// inbox is where everything that happens around the worker waits for its next round. Each kind is bounded: by the number of
// replicas, by the actions under way, or because only the newest counts.
type inbox struct {
	mu      sync.Mutex
	waiting mail
	wake    chan struct{}
	// woken is the verdict of each probe that last woke the worker.
	woken map[probeID]probeUpdate
}

// answerEvery is how often an answer that changes nothing but its words is passed on: some replicas never say the same twice.
const answerEvery = 2 * time.Second

// probeID names the probe that a verdict came from; its newest verdict replaces the one before.
type probeID struct {
	replica  string
	liveness bool
}

// mail is what came in since the last round.
type mail struct {
	desired  *assignments
	results  []result
	probes   map[probeID]probeUpdate
	sighting *sighting
	node     []nodeResult
	stirred  bool
}

// sighting is everything of ours that the machine has, as seen at one moment.
type sighting struct {
	containers []runtime.Container
	places     []network.Attachment
	// ports is what was published before the agent started.
	ports map[uint16]netip.AddrPort
	// runtimeErr and networkErr say why a part is missing.
	runtimeErr, networkErr error
	// began is the worker's clock when it was taken: what changed later is newer than it.
	began uint64
}

func newInbox() *inbox {
	return &inbox{wake: make(chan struct{}, 1), woken: map[probeID]probeUpdate{}}
}

func (in *inbox) putDesired(a *assignments)  { in.put(func(m *mail) { m.desired = a }) }
func (in *inbox) putResult(r result)         { in.put(func(m *mail) { m.results = append(m.results, r) }) }
func (in *inbox) putSighting(s sighting)     { in.put(func(m *mail) { m.sighting = &s }) }
func (in *inbox) putNodeResult(r nodeResult) { in.put(func(m *mail) { m.node = append(m.node, r) }) }
func (in *inbox) putStir()                   { in.put(func(m *mail) { m.stirred = true }) }

// putProbe keeps the newest verdict of each probe for the next round, and asks for a round only when something may follow from
// it: probes answer far more often than that.
func (in *inbox) putProbe(u probeUpdate) {
	in.mu.Lock()
	key := probeID{u.replica, u.liveness}
	before, known := in.woken[key]
	matters := !known || u.differs(before)
	if matters {
		in.woken[key] = u
	}
	if in.waiting.probes == nil {
		in.waiting.probes = map[probeID]probeUpdate{}
	}
	in.waiting.probes[key] = u
	in.mu.Unlock()
	if matters {
		in.put(func(*mail) {})
	}
}

// differs reports whether the worker should look at a verdict after the one before.
func (u probeUpdate) differs(before probeUpdate) bool {
	return u.run != before.run || u.verdict.Ready != before.verdict.Ready || u.verdict.Failing != before.verdict.Failing ||
		isNews(before.verdict.Last, u.verdict.Last)
}

// isNews reports whether a failed answer says something else than one that is old enough to be replaced.
func isNews(before, now probe.Result) bool {
	return !now.Passed && !now.Same(before) && now.At.Sub(before.At) >= answerEvery
}

// forgetProbe drops what is kept of a replica's probes.
func (in *inbox) forgetProbe(replica string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	delete(in.woken, probeID{replica, false})
	delete(in.woken, probeID{replica, true})
}

func (in *inbox) put(change func(*mail)) {
	in.mu.Lock()
	change(&in.waiting)
	in.mu.Unlock()
	select {
	case in.wake <- struct{}{}:
	default:
	}
}

func (in *inbox) take() mail {
	in.mu.Lock()
	defer in.mu.Unlock()
	taken := in.waiting
	in.waiting = mail{}
	return taken
}
