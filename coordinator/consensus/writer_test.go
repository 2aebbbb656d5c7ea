package consensus

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"github.com/runway-platform/runway/proto/code"
)

// hangingLog is a log whose writes hang from a moment on until they are let go.
type hangingLog struct {
	*raft.InmemStore
	hang   atomic.Pointer[chan struct{}]
	broken atomic.Pointer[error]
}

// fail makes writes fail from now on.
func (h *hangingLog) fail(err error) { h.broken.Store(&err) }

// hold makes writes hang until the returned function is called.
func (h *hangingLog) hold() (release func()) {
	hang := make(chan struct{})
	h.hang.Store(&hang)
	return func() { close(hang) }
}

func (h *hangingLog) wait() error {
	if hang := h.hang.Load(); hang != nil {
		<-*hang
	}
	if broken := h.broken.Load(); broken != nil {
		return *broken
	}
	return nil
}

func (h *hangingLog) StoreLogs(logs []*raft.Log) error {
	if err := h.wait(); err != nil {
		return err
	}
	return h.InmemStore.StoreLogs(logs)
}

func (h *hangingLog) Set(key, value []byte) error {
	if err := h.wait(); err != nil {
		return err
	}
	return h.InmemStore.Set(key, value)
}

func inMemory(t *testing.T, log *hangingLog) Config {
	config := onDisk("", testLogger(t))
	config.Storage = &Storage{Name: "memory", Log: log, Stable: log, Snapshots: raft.NewInmemSnapshotStore()}
	return config
}

func TestNode_hangingDiskStepsDownAndStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &hangingLog{InmemStore: raft.NewInmemStore()}
		n := start(t, inMemory(t, log))
		apply(t, n, "a")
		release := log.hold()
		begin := time.Now()

		_, err := n.Apply(t.Context(), putSpace("b"))

		if err == nil {
			t.Fatal("a write that hangs was acknowledged")
		}
		if took := time.Since(begin); took > writeDeadline+10*time.Millisecond {
			t.Errorf("gave up after %s, want %s", took, writeDeadline)
		}
		synctest.Wait()
		if _, leads := n.Leader(); leads {
			t.Error("still leads after a missed deadline")
		}
		if _, err := n.Apply(t.Context(), putSpace("c")); !errors.Is(err, ErrNotLeader) {
			t.Errorf("later write: %v, want ErrNotLeader", err)
		}
		select {
		case err := <-n.Failed():
			t.Errorf("told to stop before the disk answered: %v", err)
		default:
		}
		release()
		if err := <-n.Failed(); codeOf(err) != code.DiskSlow {
			t.Errorf("Failed() = %v, want %s", err, code.DiskSlow)
		}
	})
}

// TestNode_hangingTermWriteDoesNotPanic: raft panics when it cannot write a term,
// which a lone member does when it stands for election.
func TestNode_hangingTermWriteDoesNotPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &hangingLog{InmemStore: raft.NewInmemStore()}
		n := start(t, inMemory(t, log))
		stop(t, n)
		again, err := New(inMemory(t, log))
		if err != nil {
			t.Fatal(err)
		}
		release := log.hold()
		time.Sleep(10 * time.Second)
		if _, leads := again.Leader(); leads {
			t.Error("leads without a term on disk")
		}
		release()
		if err := <-again.Failed(); codeOf(err) != code.DiskSlow {
			t.Errorf("Failed() = %v, want %s", err, code.DiskSlow)
		}
		stop(t, again)
	})
}

func TestNew_hangingDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &hangingLog{InmemStore: raft.NewInmemStore()}
		stop(t, start(t, inMemory(t, log)))
		release := log.hold()
		if _, err := New(inMemory(t, log)); codeOf(err) != code.DiskSlow {
			t.Errorf("New() = %v, want %s", err, code.DiskSlow)
		}
		release()
	})
}

// A write that failed is like one that was late: whether it is on disk only the next
// start can tell. Raft would go on, and panic when it cannot write its next term.
func TestNode_failingDiskStopsWithItsCode(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want code.Code
	}{
		{"no space left", &os.PathError{Op: "write", Path: "raft.db", Err: syscall.ENOSPC}, code.DiskFull},
		{"over quota", fmt.Errorf("commit: %w", syscall.EDQUOT), code.DiskFull},
		{"broken", &os.PathError{Op: "fsync", Path: "raft.db", Err: syscall.EIO}, code.DiskFailed},
		{"read-only", syscall.EROFS, code.DiskFailed},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := &hangingLog{InmemStore: raft.NewInmemStore()}
				n := start(t, inMemory(t, log))
				apply(t, n, "a")
				log.fail(test.err)

				if _, err := n.Apply(t.Context(), putSpace("b")); !errors.Is(err, ErrUncertain) {
					t.Errorf("Apply() = %v, want ErrUncertain", err)
				}
				if err := <-n.Failed(); codeOf(err) != test.want || !errors.Is(err, test.err) {
					t.Errorf("Failed() = %v, want %s and the cause", err, test.want)
				}
				time.Sleep(10 * time.Second) // virtual: elections would be tried
				if _, leads := n.Leader(); leads {
					t.Error("still leads")
				}
			})
		})
	}
}

// A term that cannot be written must not panic, neither while raft runs nor when a
// cluster is begun.
func TestNode_failingTermWriteDoesNotPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &hangingLog{InmemStore: raft.NewInmemStore()}
		stop(t, start(t, inMemory(t, log)))
		again, err := New(inMemory(t, log))
		if err != nil {
			t.Fatal(err)
		}
		log.fail(syscall.ENOSPC)
		if err := <-again.Failed(); codeOf(err) != code.DiskFull {
			t.Errorf("Failed() = %v, want %s", err, code.DiskFull)
		}
		stop(t, again)
	})
}

func TestNew_failingDiskAtBootstrap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &hangingLog{InmemStore: raft.NewInmemStore()}
		log.fail(syscall.ENOSPC)
		if _, err := New(inMemory(t, log)); codeOf(err) != code.DiskFull {
			t.Errorf("New() = %v, want %s", err, code.DiskFull)
		}
	})
}

func TestNew_hangingDiskAtBootstrap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &hangingLog{InmemStore: raft.NewInmemStore()}
		release := log.hold()
		if _, err := New(inMemory(t, log)); codeOf(err) != code.DiskSlow {
			t.Errorf("New() = %v, want %s", err, code.DiskSlow)
		}
		release()
	})
}

func TestLogStore_findsFlippedBits(t *testing.T) {
	entry := &raft.Log{Index: 7, Term: 3, Type: raft.LogCommand, Data: []byte("data"), Extensions: []byte("more")}
	tests := []struct {
		name   string
		damage func(*raft.Log)
	}{
		{"index", func(l *raft.Log) { l.Index++ }},
		{"term", func(l *raft.Log) { l.Term ^= 1 }},
		{"type", func(l *raft.Log) { l.Type = raft.LogNoop }},
		{"data", func(l *raft.Log) { l.Data[0] ^= 1 }},
		{"checksum", func(l *raft.Log) { l.Data[len(l.Data)-1] ^= 1 }},
		{"short", func(l *raft.Log) { l.Data = l.Data[:3] }},
		{"extensions", func(l *raft.Log) { l.Extensions = nil }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			sealed := seal(entry)
			test.damage(sealed)
			if err := unseal(7, sealed); !errors.Is(err, errChecksum) {
				t.Errorf("unseal() = %v, want %v", err, errChecksum)
			}
		})
	}
	sealed := seal(entry)
	if err := unseal(7, sealed); err != nil || string(sealed.Data) != "data" {
		t.Errorf("unseal() of an intact entry: %q, %v", sealed.Data, err)
	}
	if string(entry.Data) != "data" {
		t.Errorf("seal changed its argument to %q", entry.Data)
	}
}
