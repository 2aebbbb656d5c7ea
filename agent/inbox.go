package agent

import (
	"net/netip"
	"sync"

	"github.com/runway-platform/runway/agent/network"
	"github.com/runway-platform/runway/agent/runtime"
)

// inbox is where everything that happens around the worker waits for its next round. Each kind is bounded: by the number of
// replicas, by the actions under way, or because only the newest counts.
type inbox struct {
	mu       sync.Mutex
	waiting  mail
	wake     chan struct{}
	probeKey map[probeID]probeUpdate
}

// probeID names the probe that a verdict came from; its newest verdict replaces the one before.
type probeID struct {
	replica  string
	liveness bool
}

// mail is what came in since the last round.
type mail struct {
	desired  *assignments
	results  []result
	probes   []probeUpdate
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
	err   error
	// began is the worker's clock when it was taken: what changed later is newer than it.
	began uint64
}

func newInbox() *inbox {
	return &inbox{wake: make(chan struct{}, 1), probeKey: map[probeID]probeUpdate{}}
}

func (in *inbox) putDesired(a *assignments)  { in.put(func(m *mail) { m.desired = a }) }
func (in *inbox) putResult(r result)         { in.put(func(m *mail) { m.results = append(m.results, r) }) }
func (in *inbox) putSighting(s sighting)     { in.put(func(m *mail) { m.sighting = &s }) }
func (in *inbox) putNodeResult(r nodeResult) { in.put(func(m *mail) { m.node = append(m.node, r) }) }
func (in *inbox) putStir()                   { in.put(func(m *mail) { m.stirred = true }) }

// putProbe wakes the worker only for a verdict that differs: probes answer far more often than anything follows from it.
func (in *inbox) putProbe(u probeUpdate) {
	in.mu.Lock()
	key := probeID{u.replica, u.liveness}
	before, known := in.probeKey[key]
	in.probeKey[key] = u
	same := known && before.attempt == u.attempt && before.verdict.Ready == u.verdict.Ready &&
		before.verdict.Failing == u.verdict.Failing
	in.mu.Unlock()
	if !same {
		in.put(func(m *mail) { m.probes = append(m.probes, u) })
	}
}

// forgetProbe drops what is kept of a replica's probes.
func (in *inbox) forgetProbe(replica string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	delete(in.probeKey, probeID{replica, false})
	delete(in.probeKey, probeID{replica, true})
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
