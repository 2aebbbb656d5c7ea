package consensus

import (
	"fmt"
	"io"
	"time"

	"github.com/hashicorp/raft"

	"github.com/runway-platform/runway/coordinator/command"
	"github.com/runway-platform/runway/coordinator/state"
)

// fsm feeds committed entries to the state machine, and nothing more. After an
// entry that it cannot apply it does nothing at all, so that neither a later entry
// nor a snapshot makes this member's state differ from the others' for good.
type fsm struct {
	store   *state.Store
	metrics *metrics
	failure *failure
}

// applied is what Apply gives back through raft to the caller on the leader.
type applied struct {
	result command.Result
	err    error
}

// Apply implements raft.FSM.
func (f *fsm) Apply(entry *raft.Log) any {
	if err := f.failure.err(); err != nil {
		return applied{err: err}
	}
	begin := time.Now()
	result, err := command.Apply(f.store, entry.Index, entry.Data)
	f.metrics.applied(result.Kind, err, time.Since(begin))
	if isFatal(err) {
		err = unreadable(err)
		f.failure.raise(err)
		f.failure.deliver()
	}
	return applied{result: result, err: err}
}

// Snapshot implements raft.FSM. The view costs nothing; writing it runs beside
// later entries.
func (f *fsm) Snapshot() (raft.FSMSnapshot, error) {
	if err := f.failure.err(); err != nil {
		return nil, fmt.Errorf("take snapshot: %w", err)
	}
	return snapshot{view: f.store.View()}, nil
}

// Restore implements raft.FSM.
func (f *fsm) Restore(from io.ReadCloser) error {
	defer from.Close()
	if err := f.store.Load(from); err != nil {
		corrupt := &Fault{Code: codeSnapshot, Err: err}
		f.failure.raise(corrupt)
		f.failure.deliver()
		return corrupt
	}
	return nil
}

// snapshot is a view on its way to disk.
type snapshot struct{ view *state.View }

// Persist implements raft.FSMSnapshot.
func (s snapshot) Persist(sink raft.SnapshotSink) error {
	if err := s.view.Save(sink); err != nil {
		return fmt.Errorf("persist snapshot: %w, %w", err, sink.Cancel())
	}
	if err := sink.Close(); err != nil {
		return fmt.Errorf("persist snapshot: %w", err)
	}
	return nil
}

// Release implements raft.FSMSnapshot; views need none.
func (snapshot) Release() {}
