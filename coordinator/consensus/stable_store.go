package consensus

import (
	"encoding/binary"
	"errors"
	"runtime"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
)

// stableStore puts a checksum into term and vote and a deadline on their writes.
type stableStore struct {
	inner  raft.StableStore
	name   string
	writes *writer
}

// Set implements raft.StableStore. Raft panics when it cannot write its term, so
// the calling goroutine of raft ends here instead, with its deferred calls; the
// member has failed and is being shut down.
func (s *stableStore) Set(key, value []byte) error {
	err := s.writes.do(func() error { return s.inner.Set(key, sealValue(key, value)) })
	if errors.Is(err, errPoisoned) {
		runtime.Goexit()
	}
	return err
}

// Get implements raft.StableStore.
func (s *stableStore) Get(key []byte) ([]byte, error) {
	stored, err := s.inner.Get(key)
	if isAbsent(stored, err) {
		return nil, err
	}
	if err != nil {
		return nil, fault(codeLogCorrupt, "value %q of %s: %w", key, s.name, err)
	}
	value, err := unsealValue(key, stored)
	if err != nil {
		return nil, fault(codeLogCorrupt, "value %q of %s: %w", key, s.name, err)
	}
	return value, nil
}

// isAbsent: stores say it with an error, or with no value.
func isAbsent(stored []byte, err error) bool {
	if err != nil {
		return err.Error() == raftboltdb.ErrKeyNotFound.Error()
	}
	return stored == nil
}

// SetUint64 implements raft.StableStore.
func (s *stableStore) SetUint64(key []byte, value uint64) error {
	return s.Set(key, binary.BigEndian.AppendUint64(nil, value))
}

// GetUint64 implements raft.StableStore.
func (s *stableStore) GetUint64(key []byte) (uint64, error) {
	value, err := s.Get(key)
	if err != nil || len(value) == 0 {
		return 0, err
	}
	if len(value) != 8 {
		return 0, fault(codeLogCorrupt, "value %q of %s has %d bytes", key, s.name, len(value))
	}
	return binary.BigEndian.Uint64(value), nil
}
