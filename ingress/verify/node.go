package verify

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"
)

const (
	// budget bounds one question. It is the delay of a request when nodes fall silent
	// while the coordinator is away; an agent that is not there at all refuses at once.
	budget = 500 * time.Millisecond
	// retry is how often a silent node is asked again, with nobody waiting.
	retry = time.Second
	// A node is left alone after a question for several times as long as that took,
	// so that few and busy agents are not kept busy by this; who comes meanwhile
	// shares the next question, and waits no longer than maxRest for it.
	restFactor = 9
	maxRest    = 100 * time.Millisecond
)

// said is what the agents at one address said of its node ports.
type said struct {
	replicas map[uint32]string
	// complete: all of them spoke.
	complete bool
}

// node asks the agents at one address, one question at a time. Whoever asks gets what
// was said after that; those who come while a question is under way share the next.
type node struct {
	verifier *Verifier
	agents   []string
	// turn is held by the question under way; rested is when the next may begin.
	turn   chan struct{}
	rested time.Time

	mu sync.Mutex
	// next is the question that has not begun.
	next *question
	// silent: the last question was not answered, and nobody waits for the next.
	silent bool
	again  time.Time
	warned time.Time
}

type question struct {
	done chan struct{}
	said said
}

func newNode(v *Verifier, agents []string) *node {
	return &node{verifier: v, agents: agents, turn: make(chan struct{}, 1)}
}

// ask returns what the node says later than now. Of a silent node it returns nothing,
// at once. It returns an error when ctx ends first.
func (n *node) ask(ctx context.Context) (said, error) {
	q, first, wait := n.join(time.Now())
	switch {
	case first && wait:
		n.put(q, false)
	case first:
		n.verifier.background(func() { n.put(q, true) })
	}
	if !wait {
		return said{}, nil
	}
	select {
	case <-q.done:
		return q.said, nil
	case <-ctx.Done():
		return said{}, context.Cause(ctx)
	}
}

// join returns the question that has not begun, whether the caller is the first and
// has to put it, and whether its answer is worth waiting for.
func (n *node) join(now time.Time) (q *question, first, wait bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.silent && now.Before(n.again) {
		return nil, false, false
	}
	if n.silent {
		n.again = now.Add(budget + retry)
	}
	if n.next == nil {
		n.next, first = &question{done: make(chan struct{})}, true
	}
	return n.next, first, !n.silent
}

// put waits for its turn, then asks and tells everybody who joined until then. A node
// that fell silent meanwhile is asked only by a retry.
func (n *node) put(q *question, retry bool) {
	defer close(q.done)
	n.turn <- struct{}{}
	defer func() { <-n.turn }()
	pause(n.verifier.ctx, time.Until(n.rested))
	if silent := n.begin(); silent && !retry {
		return
	}
	begun := time.Now()
	var err error
	q.said, err = n.askAll()
	n.rested = time.Now().Add(min(restFactor*time.Since(begun), maxRest))
	n.note(q.said.complete, err)
}

// begin lets nobody join any more: who comes now needs a younger answer.
func (n *node) begin() (silent bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.next = nil
	return n.silent
}

// askAll puts what all agents of the address say together.
func (n *node) askAll() (said, error) {
	ctx, cancel := context.WithTimeout(n.verifier.ctx, budget)
	defer cancel()
	all := said{replicas: map[uint32]string{}, complete: true}
	var errs []error
	for _, agent := range n.agents {
		replicas, err := n.verifier.cfg.Asker.Ask(ctx, agent)
		if err != nil {
			all.complete = false
			errs = append(errs, err)
		}
		maps.Copy(all.replicas, replicas)
	}
	return all, errors.Join(errs...)
}

// note remembers whether the node speaks, and says when that changes.
func (n *node) note(speaks bool, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.again = time.Now().Add(retry)
	if n.silent != speaks {
		return
	}
	n.silent = !speaks
	if n.silent {
		n.verifier.log.Warn("node does not say which replicas its ports lead to, its routes stay in use", "addresses", n.agents, "err", err)
		return
	}
	n.verifier.log.Info("node says again which replicas its ports lead to", "addresses", n.agents)
}

// warn limits what is logged of wrong ports: each request may meet one.
func (n *node) warn(now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if now.Sub(n.warned) < retry {
		return false
	}
	n.warned = now
	return true
}

// pause waits for d or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
