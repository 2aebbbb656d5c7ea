package simulation

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/failpoint"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

const (
	// beat is how often machines are heard of.
	beat = time.Second
	// wire is the most that a message between an agent and the coordinator takes.
	wire = 50 * time.Millisecond
)

// node is a machine with its agent, which has a session or tries to get one.
type node struct {
	world *World
	id    string
	facts *runwayv1.NodeFacts
	rand  *rand.Rand
	// works and talks are its two actors.
	works, talks *actor

	// cut agents go on without the coordinator; dead ones leave the containers alone;
	// machines that are off do nothing.
	cut, dead, off bool
	containers     map[string]*container
	// rows are what was assigned last.
	rows    []*runwayv1.Replica
	session *session
}

// session is a connection of an agent to a leader.
type session struct {
	lead  *leader
	epoch uint64
	// full: the first report says everything, also what is no longer there.
	full bool
}

func newNode(w *World, number int) *node {
	id := fmt.Sprintf("n%d", number)
	memory := w.config.Memory
	return &node{
		world: w, id: id, rand: w.random(id), containers: map[string]*container{},
		facts: &runwayv1.NodeFacts{
			Address: fmt.Sprintf("10.0.0.%d", number+1), Region: "local",
			CapacityCpuMilli: 8000, AllocatableCpuMilli: 8000,
			CapacityMemoryBytes: memory, AllocatableMemoryBytes: memory,
			CapacityDiskBytes: 100 << 30, AllocatableDiskBytes: 100 << 30,
			PortFirst: 20000, PortLast: 20000 + w.config.Ports - 1,
		},
	}
}

func (n *node) registration() *runwayv1.RegisterNode {
	return &runwayv1.RegisterNode{Node: n.id, Name: n.id, Facts: n.facts}
}

func (n *node) begin() {
	n.works = n.world.turns.begin(n.work)
	n.talks = n.world.turns.begin(n.talk)
}

// Cut takes the agent from the coordinator; its replicas run on.
func (n *node) Cut(cut bool) {
	n.cut = cut
	n.nudge()
}

// Kill ends the agent or starts it again; its replicas run on.
func (n *node) Kill(dead bool) {
	n.dead = dead
	n.nudge()
}

// Power takes everything from the machine. With power its agent starts again what it
// remembers.
func (n *node) Power(on bool) {
	n.off = !on
	for _, c := range n.all() {
		if on {
			c.restart()
		}
	}
	n.nudge()
}

// Wipe loses the disk of the machine, and with it what its agent knew.
func (n *node) Wipe() {
	n.containers, n.rows, n.session = map[string]*container{}, nil, nil
	n.nudge()
}

// Crash ends a running replica, which its agent starts again.
func (n *node) Crash() {
	running := slices.DeleteFunc(n.all(), func(c *container) bool { return !c.running() })
	if len(running) > 0 {
		running[n.rand.IntN(len(running))].restart()
	}
	n.nudge()
}

// nudge makes it look at once.
func (n *node) nudge() { n.works.due, n.talks.due = time.Now(), time.Now() }

// all returns the containers in the order of their IDs.
func (n *node) all() []*container {
	var all []*container
	for _, id := range slices.Sorted(maps.Keys(n.containers)) {
		all = append(all, n.containers[id])
	}
	return all
}

// connected tells whether the session goes on, as dispatch would let it.
func (n *node) connected(view *state.View) bool {
	now, s := view.Node(n.id), n.session
	return s != nil && s.lead == n.world.leader && !n.cut && !n.dead && !n.off && now != nil &&
		now.GetStatus().GetPhase() != runwayv1.NodePhase_NODE_PHASE_DOWN && now.GetStatus().GetEpoch() == s.epoch
}

// work takes assignments and moves the containers on.
func (n *node) work() {
	t := &n.world.turns
	for {
		view, elected := n.world.View(), n.world.elected
		changed := view.Changed(state.TableReplicas, state.TableNodes)
		if n.connected(view) {
			n.session.lead.hear(n.id)
			if rows := n.assigned(view); !slices.Equal(rows, n.rows) {
				if !t.rest(between(n.rand, 0, wire)) {
					return
				}
				n.assign(rows)
			}
		}
		if !t.rest(n.evolve(), changed, elected) {
			return
		}
	}
}

// assigned is what the coordinator sends: all but what has stopped.
func (n *node) assigned(view *state.View) []*runwayv1.Replica {
	rows := view.ReplicasOn(n.id)
	if n.world.config.Break == failpoint.TwoOwners && n.id == "n0" {
		rows = append(rows, view.ReplicasOn("n1")...)
	}
	return slices.DeleteFunc(rows, func(r *runwayv1.Replica) bool {
		return r.GetStatus().GetPhase() == runwayv1.ReplicaPhase_REPLICA_PHASE_STOPPED
	})
}

// assign takes over what was sent a moment ago, if somebody is there to take it.
func (n *node) assign(rows []*runwayv1.Replica) {
	if n.session == nil || n.off || n.dead {
		return
	}
	n.rows = rows
	assigned := map[string]bool{}
	for _, r := range rows {
		assigned[r.GetId()] = true
		if n.containers[r.GetId()] == nil {
			n.containers[r.GetId()] = newContainer(n, r)
		}
		n.containers[r.GetId()].row = r
	}
	maps.DeleteFunc(n.containers, func(id string, _ *container) bool { return !assigned[id] })
}

// evolve moves the containers on that are due, and returns when the next one is.
func (n *node) evolve() time.Duration {
	next := beat
	if n.off || n.dead {
		return time.Hour
	}
	for _, c := range n.all() {
		for c.step() {
			n.talks.due = time.Now()
		}
		next = min(next, c.wait())
	}
	return next
}

// talk keeps a session and reports over it.
func (n *node) talk() {
	t := &n.world.turns
	for {
		view, elected := n.world.View(), n.world.elected
		changed := view.Changed(state.TableNodes)
		most := time.Hour
		switch {
		case n.connected(view):
			if !n.report(view) {
				n.session = nil
				continue
			}
			most = beat
		case n.world.leader != nil && !n.cut && !n.dead && !n.off:
			most = n.connect()
		default:
			n.session = nil
		}
		if !t.rest(most, changed, elected) {
			return
		}
	}
}

// connect begins a session and registers the machine unless it is known as ready. It
// returns when to go on.
func (n *node) connect() time.Duration {
	lead := n.world.leader
	if !n.world.turns.rest(between(n.rand, 0, 4*wire)) || lead.lost {
		return wire
	}
	lead.hear(n.id)
	if n.world.View().Node(n.id).GetStatus().GetPhase() != runwayv1.NodePhase_NODE_PHASE_READY {
		h := &hand{world: n.world, name: n.id, lead: lead}
		if _, err := h.write(n.registration()); err != nil {
			return wire
		}
	}
	n.session = &session{lead: lead, epoch: n.world.View().Node(n.id).GetStatus().GetEpoch(), full: true}
	n.works.due = time.Now()
	return 0
}

// report sends what is new since the last report that was written, in one session
// in order. It may be sent twice.
func (n *node) report(view *state.View) bool {
	s := n.session
	reports := n.news(view, s.full)
	if len(reports) == 0 {
		s.full = false
		return true
	}
	if !n.world.turns.rest(between(n.rand, 0, wire)) || n.session != s || s.lead.lost || n.cut || n.dead || n.off {
		return false // lost on the way
	}
	told := map[string]*runwayv1.ReplicaStatus{}
	for _, r := range reports {
		told[r.GetReplica()] = r.GetStatus()
	}
	h := &hand{world: n.world, name: n.id, lead: s.lead}
	for range 1 + n.rand.IntN(20)/19 {
		if _, err := h.write(&runwayv1.ReportReplicas{Reports: clones(reports)}); err != nil {
			return false
		}
	}
	for _, c := range n.all() {
		if status := told[c.row.GetId()]; status != nil {
			c.told = status
		}
	}
	s.full = false
	return true
}

func clones(reports []*runwayv1.NodeReport) []*runwayv1.NodeReport {
	var all []*runwayv1.NodeReport
	for _, r := range reports {
		all = append(all, proto.CloneOf(r))
	}
	return all
}

// news returns what is to be reported; of a full report also what is missing, as
// dispatch adds it.
func (n *node) news(view *state.View, full bool) []*runwayv1.NodeReport {
	var reports []*runwayv1.NodeReport
	for _, c := range n.all() {
		if full || c.told != c.status {
			reports = append(reports, &runwayv1.NodeReport{Node: n.id, Replica: c.row.GetId(), NodeEpoch: c.row.GetPlan().GetNodeEpoch(), Status: c.status})
		}
	}
	for _, r := range view.ReplicasOn(n.id) {
		phase := r.GetStatus().GetPhase()
		if full && n.containers[r.GetId()] == nil && phase > runwayv1.ReplicaPhase_REPLICA_PHASE_PENDING && phase < runwayv1.ReplicaPhase_REPLICA_PHASE_STOPPED {
			reports = append(reports, gone(n.id, r))
		}
	}
	return reports
}

// gone reports a replica that its node no longer has.
func gone(node string, r *runwayv1.Replica) *runwayv1.NodeReport {
	phase := runwayv1.ReplicaPhase_REPLICA_PHASE_FAILED
	if r.GetStatus().GetPhase() == runwayv1.ReplicaPhase_REPLICA_PHASE_STOPPING {
		phase = runwayv1.ReplicaPhase_REPLICA_PHASE_STOPPED
	}
	return &runwayv1.NodeReport{
		Node: node, Replica: r.GetId(), NodeEpoch: r.GetPlan().GetNodeEpoch(),
		Status: &runwayv1.ReplicaStatus{Phase: phase, Attempt: r.GetStatus().GetAttempt(), Cause: &runwayv1.Cause{Code: string(code.ContainerFailed)}},
	}
}
