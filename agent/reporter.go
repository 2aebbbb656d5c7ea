package agent

import (
	"maps"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

const (
	// maxEvents waits for a coordinator. The oldest go first: what happened last explains the present.
	maxEvents = 256
	// maxUnacked messages may be on their way; beyond that changes gather into fewer.
	maxUnacked = 16
)

// reporter keeps the latest status of each replica until the coordinator has committed it. The worker puts, the session takes;
// both may at any time.
type reporter struct {
	mu       sync.Mutex
	replicas map[string]*reported
	events   []reportedEvent
	// begun is true once every replica was looked at: a full report before that would say that some are gone. partly is true
	// while only some can be judged, because the runtime does not answer.
	begun, partly bool
	// full is true until the session had its full report.
	full     bool
	sequence uint64
	acked    uint64
	wake     chan struct{}
}

// reported is one status and the message that carried it; 0 means none yet.
type reported struct {
	epoch  uint64
	status *runwayv1.ReplicaStatus
	sentIn uint64
}

type reportedEvent struct {
	event  *runwayv1.AgentEvent
	sentIn uint64
}

func newReporter() *reporter {
	return &reporter{replicas: map[string]*reported{}, wake: make(chan struct{}, 1)}
}

// put replaces the status of a replica; the same one again changes nothing.
func (p *reporter) put(id string, epoch uint64, status *runwayv1.ReplicaStatus) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.replicas[id]
	if before != nil && before.epoch == epoch && proto.Equal(before.status, status) {
		return
	}
	p.replicas[id] = &reported{epoch: epoch, status: status}
	p.stir()
}

// drop forgets a replica. The coordinator learns it from the next full report; it had ordered the end itself.
func (p *reporter) drop(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.replicas, id)
}

// event adds something that happened. replica may be empty.
func (p *reporter) event(kind, replica string, c code.Code, message string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.events) == maxEvents {
		p.events = p.events[1:]
	}
	p.events = append(p.events, reportedEvent{event: &runwayv1.AgentEvent{
		At: timestamppb.New(time.Now()), Kind: kind, Replica: replica, Message: printable(message, summaryBytes), Code: string(c),
	}})
	p.stir()
}

// begin allows reports: from now on every replica is in them.
func (p *reporter) begin() { p.allow(&p.begun) }

// beginPartly allows reports that say nothing of the replicas which are not in them.
func (p *reporter) beginPartly() { p.allow(&p.partly) }

func (p *reporter) allow(kind *bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !*kind {
		*kind = true
		p.stir()
	}
}

// reset prepares for a new session, whose first report holds everything.
func (p *reporter) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sequence, p.acked, p.full = 0, 0, true
	for _, r := range p.replicas {
		r.sentIn = 0
	}
	for i := range p.events {
		p.events[i].sentIn = 0
	}
	p.stir()
}

// next returns what has not been sent in this session, or nil.
func (p *reporter) next() *runwayv1.ReplicaReports {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.begun && !p.partly || p.sequence-p.acked >= maxUnacked {
		return nil
	}
	message := &runwayv1.ReplicaReports{Sequence: p.sequence + 1, Full: p.full && p.begun}
	for _, id := range slices.Sorted(maps.Keys(p.replicas)) {
		if r := p.replicas[id]; r.sentIn == 0 || message.Full {
			r.sentIn = message.Sequence
			message.Replicas = append(message.Replicas, &runwayv1.ReplicaReport{Replica: id, NodeEpoch: r.epoch, Status: r.status})
		}
	}
	for i := range p.events {
		if p.events[i].sentIn == 0 {
			p.events[i].sentIn = message.Sequence
			message.Events = append(message.Events, p.events[i].event)
		}
	}
	if !message.Full && len(message.Replicas) == 0 && len(message.Events) == 0 {
		return nil
	}
	p.sequence, p.full = message.Sequence, p.full && !message.Full
	return message
}

// ack takes note that everything up to a message is committed.
func (p *reporter) ack(sequence uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.acked = max(p.acked, min(sequence, p.sequence))
	p.events = slices.DeleteFunc(p.events, func(e reportedEvent) bool { return e.sentIn != 0 && e.sentIn <= p.acked })
	p.stir()
}

// unacked is how many messages wait for their acknowledgement.
func (p *reporter) unacked() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sequence - p.acked
}

// attempt returns the present attempt of a replica, false when it is not on this node.
func (p *reporter) attempt(id string) (int, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.replicas[id]
	if r == nil {
		return 0, false
	}
	return int(r.status.GetAttempt()), true
}

// stir wakes the session; callers hold the lock.
func (p *reporter) stir() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}
