package consensus

import (
	"errors"

	"github.com/hashicorp/raft"
)

// logStore puts a checksum into every entry and a deadline on every write.
type logStore struct {
	inner   raft.LogStore
	name    string
	writes  *writer
	failure *failure
}

// FirstIndex implements raft.LogStore.
func (s *logStore) FirstIndex() (uint64, error) { return s.inner.FirstIndex() }

// LastIndex implements raft.LogStore.
func (s *logStore) LastIndex() (uint64, error) { return s.inner.LastIndex() }

// GetLog implements raft.LogStore. A damaged entry makes the member give up:
// followers must never be sent it, nor this member apply it.
func (s *logStore) GetLog(index uint64, entry *raft.Log) error {
	err := s.inner.GetLog(index, entry)
	if errors.Is(err, raft.ErrLogNotFound) {
		return err
	}
	if err == nil {
		err = unseal(index, entry)
	}
	if err != nil {
		corrupt := fault(codeLogCorrupt, "entry %d of %s: %w", index, s.name, err)
		s.failure.raise(corrupt)
		s.failure.deliver()
		return corrupt
	}
	return nil
}

// StoreLog implements raft.LogStore.
func (s *logStore) StoreLog(entry *raft.Log) error { return s.StoreLogs([]*raft.Log{entry}) }

// StoreLogs implements raft.LogStore.
func (s *logStore) StoreLogs(entries []*raft.Log) error {
	sealed := make([]*raft.Log, len(entries))
	for i, entry := range entries {
		sealed[i] = seal(entry)
	}
	return s.writes.do(func() error { return s.inner.StoreLogs(sealed) })
}

// DeleteRange implements raft.LogStore.
func (s *logStore) DeleteRange(first, last uint64) error {
	return s.writes.do(func() error { return s.inner.DeleteRange(first, last) })
}
