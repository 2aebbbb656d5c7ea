package consensus

import (
	"errors"
	"runtime/debug"

	"github.com/hashicorp/raft"
)

// What raft keeps beside the log.
const (
	keyTerm          = "CurrentTerm"
	keyVoteTerm      = "LastVoteTerm"
	keyVoteCandidate = "LastVoteCand"
)

var stableKeys = []string{keyTerm, keyVoteTerm, keyVoteCandidate}

// checkStorage reads everything that a member stands on. One that starts with a
// hole or a flipped bit would lose what it has acknowledged.
func checkStorage(s Storage) error {
	snapshot, err := checkSnapshot(s)
	if err != nil {
		return err
	}
	if err := checkStable(s); err != nil {
		return err
	}
	return checkLog(s, snapshot)
}

// checkStable checks term and vote. A member that exists has a term, and whoever
// voted for a candidate did so in a term, which is written first.
func checkStable(s Storage) error {
	found := map[string]bool{}
	for _, key := range stableKeys {
		value, err := s.Stable.Get([]byte(key))
		if err != nil && !isAbsent(value, err) {
			return err
		}
		found[key] = len(value) > 0
	}
	if !found[keyTerm] || (found[keyVoteCandidate] && !found[keyVoteTerm]) {
		return fault(codeLogCorrupt, "%s has lost its term or vote", s.Name)
	}
	return nil
}

// recovering turns a panic of bbolt in a damaged file, or a fault in its memory
// map, into an error.
func recovering(name string, check func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if defect := recover(); defect != nil {
			err = fault(codeLogCorrupt, "%s is damaged: %v", name, defect)
		}
	}()
	return check()
}

// checkSnapshot checks the newest snapshot and returns its index, 0 without one.
// An older one is no substitute: the log between them may be gone.
func checkSnapshot(s Storage) (uint64, error) {
	kept, err := s.Snapshots.List()
	if err != nil {
		return 0, fault(codeSnapshot, "list snapshots beside %s: %w", s.Name, err)
	}
	if len(kept) == 0 {
		return 0, nil
	}
	_, content, err := s.Snapshots.Open(kept[0].ID)
	if err != nil {
		return 0, fault(codeSnapshot, "snapshot %s beside %s: %w", kept[0].ID, s.Name, err)
	}
	return kept[0].Index, content.Close()
}

// checkLog reads every entry and finds holes. Up to the snapshot holes are normal:
// a restore burns an index.
func checkLog(s Storage, snapshot uint64) error {
	first, last, err := bounds(s.Log)
	if err != nil {
		return fault(codeLogCorrupt, "read %s: %w", s.Name, err)
	}
	if last > snapshot && first > snapshot+1 {
		return fault(codeLogCorrupt, "%s begins at entry %d, its snapshot ends at %d", s.Name, first, snapshot)
	}
	for index := first; index <= last && last > 0; index++ {
		err := s.Log.GetLog(index, &raft.Log{})
		if errors.Is(err, raft.ErrLogNotFound) && index > snapshot {
			return fault(codeLogCorrupt, "%s has no entry %d", s.Name, index)
		}
		if err != nil && !errors.Is(err, raft.ErrLogNotFound) {
			return err
		}
	}
	return nil
}

func bounds(log raft.LogStore) (first, last uint64, err error) {
	if first, err = log.FirstIndex(); err != nil {
		return 0, 0, err
	}
	last, err = log.LastIndex()
	return first, last, err
}
