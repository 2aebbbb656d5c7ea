package consensus

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

const (
	// logFile holds the log, the term and the vote.
	logFile = "raft.db"
	// lockTimeout is how long another process may take to let go of the file: one
	// that is being stopped.
	lockTimeout = time.Second
	// dirMode: nobody but the coordinator reads the state.
	dirMode = 0o700
)

// openDisk opens the log and the snapshots of a data directory, making them when
// there are none.
func openDisk(dir string, n *Node) (Storage, error) {
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return Storage{}, fmt.Errorf("make data directory: %w", err)
	}
	path := filepath.Join(dir, logFile)
	if err := ensureFile(path); err != nil {
		return Storage{}, err
	}
	log, err := openFile(path)
	if err != nil {
		return Storage{}, err
	}
	snapshots, err := raft.NewFileSnapshotStoreWithLogger(dir, snapshotsKept, raftLogger(n.log))
	if err != nil {
		return Storage{}, errors.Join(fmt.Errorf("open snapshots in %s: %w", dir, err), log.Close())
	}
	return guard(Storage{Name: path, Log: log, Stable: log, Snapshots: snapshots, Close: log.Close}, n), nil
}

// boltOptions: bbolt would write its whole list of free pages at each commit; the
// map finds runs of pages without a search.
func boltOptions(readOnly bool) *bbolt.Options {
	return &bbolt.Options{
		Timeout:        lockTimeout,
		NoFreelistSync: true,
		FreelistType:   bbolt.FreelistMapType,
		ReadOnly:       readOnly,
	}
}

// openFile opens an existing log. Its structure is checked first, because bbolt
// panics beyond our reach when it opens a damaged file for writing.
func openFile(path string) (*raftboltdb.BoltStore, error) {
	if err := checkFile(path); err != nil {
		return nil, err
	}
	log, err := raftboltdb.New(raftboltdb.Options{Path: path, BoltOptions: boltOptions(false)})
	return log, boltFault(path, err)
}

// checkFile checks the pages of a log while nobody writes it.
func checkFile(path string) error {
	locked, err := bbolt.Open(path, 0, boltOptions(true))
	if err != nil {
		return boltFault(path, err)
	}
	if err := errors.Join(checkPages(path), locked.Close()); err != nil {
		return fault(codeLogCorrupt, "%s: %w", path, err)
	}
	return nil
}

// ensureFile makes an empty log. A first write that is cut short can leave a
// damaged file, so it is made aside, synced, opened again and checked before it
// gets its name.
func ensureFile(path string) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	aside := path + ".new"
	if err := os.RemoveAll(aside); err != nil {
		return fmt.Errorf("make log: %w", err)
	}
	log, err := raftboltdb.New(raftboltdb.Options{Path: aside, BoltOptions: boltOptions(false)})
	if err != nil {
		return boltFault(aside, err)
	}
	if err := errors.Join(log.Sync(), log.Close(), checkFile(aside)); err != nil {
		return fmt.Errorf("make log %s: %w", aside, err)
	}
	if err := os.Rename(aside, path); err != nil {
		return fmt.Errorf("make log: %w", err)
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes names in a directory survive a power cut.
func syncDir(dir string) error {
	handle, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	if err := errors.Join(handle.Sync(), handle.Close()); err != nil {
		return fmt.Errorf("sync directory %s: %w", dir, err)
	}
	return nil
}

// boltFault gives bbolt's errors a code.
func boltFault(path string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, bolterrors.ErrTimeout):
		return fault(codeInUse, "%s: %w", path, err)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EIO), errors.Is(err, syscall.EROFS):
		return diskFault(path, err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("open log %s: %w", path, err)
	default:
		return fault(codeLogCorrupt, "open %s: %w", path, err)
	}
}
