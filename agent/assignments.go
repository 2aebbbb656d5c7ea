package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"google.golang.org/protobuf/proto"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

var (
	// errOlder is a set that was made before the one in use.
	errOlder = errors.New("older than the assignments in use")
	// errNoBase is a difference without a full set before it.
	errNoBase = errors.New("difference without a full set")
)

// assignments is what this node should run, as the coordinator last said, with the words that order it. It is replaced, never
// changed: the worker reads it while the session makes the next one.
type assignments struct {
	Incarnation string
	Node        string
	Epoch       uint64
	Generation  uint64
	replicas    map[string]*runwayv1.Assignment
	ingresses   []*runwayv1.IngressPeer
}

// apply returns the assignments after set. Errors: errOlder, errNoBase.
func (a *assignments) apply(welcome *runwayv1.AgentWelcome, set *runwayv1.AssignmentSet) (*assignments, error) {
	next := &assignments{
		Incarnation: welcome.GetIncarnation(), Node: welcome.GetNode(), Epoch: welcome.GetEpoch(),
		Generation: set.GetGeneration(), ingresses: set.GetIngresses(), replicas: map[string]*runwayv1.Assignment{},
	}
	same := a != nil && a.Incarnation == next.Incarnation
	switch {
	case same && next.Generation < a.Generation, same && next.Epoch < a.Epoch:
		return nil, fmt.Errorf("apply assignments of generation %d, epoch %d: %w: %d, epoch %d", next.Generation, next.Epoch, errOlder, a.Generation, a.Epoch)
	case !set.GetFull() && !same:
		return nil, fmt.Errorf("apply assignments of generation %d: %w", next.Generation, errNoBase)
	case !set.GetFull():
		next.replicas = maps.Clone(a.replicas)
	}
	for _, id := range set.GetRemoved() {
		delete(next.replicas, id)
	}
	for _, one := range set.GetAssignments() {
		next.put(one, a, same)
	}
	return next, nil
}

// put adds an assignment unless a newer one of the same replica is known: neither epoch nor goal ever goes back.
func (a *assignments) put(one *runwayv1.Assignment, before *assignments, same bool) {
	id := one.GetReplica()
	a.replicas[id] = one
	if !same {
		return
	}
	old := before.replicas[id]
	if old != nil && (one.GetNodeEpoch() < old.GetNodeEpoch() || one.GetGoal() < old.GetGoal()) {
		a.replicas[id] = old
	}
}

// onDisk is the form of assignments in their file.
type onDisk struct {
	Incarnation, Node string
	Epoch             uint64
	// Set is a full runway.v1.AssignmentSet.
	Set []byte
}

func assignmentsPath(folder string) string { return filepath.Join(folder, "assignments") }

// save makes a durable copy, so that the node goes on by itself after a restart or a loss of power.
func (a *assignments) save(folder string) error {
	set := &runwayv1.AssignmentSet{Generation: a.Generation, Full: true, Ingresses: a.ingresses}
	for _, id := range slices.Sorted(maps.Keys(a.replicas)) {
		set.Assignments = append(set.Assignments, a.replicas[id])
	}
	raw, err := proto.Marshal(set)
	if err != nil {
		return fmt.Errorf("encode assignments: %w", err)
	}
	payload, err := json.Marshal(onDisk{Incarnation: a.Incarnation, Node: a.Node, Epoch: a.Epoch, Set: raw})
	if err != nil {
		return fmt.Errorf("encode assignments: %w", err)
	}
	return writeFile(assignmentsPath(folder), payload, true)
}

// loadAssignments returns nil when this node never had any. A damaged copy is ErrCorrupt: what should run is then unknown, and
// nothing may be stopped for it.
func loadAssignments(folder string) (*assignments, error) {
	payload, err := readFile(assignmentsPath(folder))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("load assignments: %w", err)
	}
	var stored onDisk
	set := new(runwayv1.AssignmentSet)
	if err := errors.Join(json.Unmarshal(payload, &stored), proto.Unmarshal(stored.Set, set)); err != nil {
		return nil, fmt.Errorf("load assignments: %w: %w", ErrCorrupt, err)
	}
	var none *assignments
	return none.apply(&runwayv1.AgentWelcome{Incarnation: stored.Incarnation, Node: stored.Node, Epoch: stored.Epoch}, set)
}
