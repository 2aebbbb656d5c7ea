package consensus

import (
	"github.com/hashicorp/raft"
)

// Storage is what a member keeps over a restart.
type Storage struct {
	// Name says in errors what it is: the path of the log file.
	Name      string
	Log       raft.LogStore
	Stable    raft.StableStore
	Snapshots raft.SnapshotStore
	// Close releases it; nil when there is nothing to release.
	Close func() error
}

// guard puts checksums and the write deadline around a storage.
func guard(raw Storage, n *Node) Storage {
	writes := newWriter(raw.Name, n.failure, n.metrics)
	guarded := raw
	guarded.Log = &logStore{inner: raw.Log, name: raw.Name, writes: writes, failure: n.failure}
	guarded.Stable = &stableStore{inner: raw.Stable, name: raw.Name, writes: writes}
	guarded.Close = func() error { return writes.closeAfter(raw.close) }
	return guarded
}

func (s Storage) close() error {
	if s.Close == nil {
		return nil
	}
	return s.Close()
}

// cached keeps the newest entries in memory for replication. Its size is a
// positive constant, which is all that it can refuse.
func (s Storage) cached() raft.LogStore {
	cache, err := raft.NewLogCache(logCacheSize, s.Log)
	if err != nil {
		return s.Log
	}
	return cache
}
