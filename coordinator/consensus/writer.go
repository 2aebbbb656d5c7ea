package consensus

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// writeDeadline is how long one write to the log may take. A disk that hangs would
// otherwise keep a leader in office that cannot write: its heartbeats go on. Slow
// disks take milliseconds, overloaded ones hundreds.
const writeDeadline = 2 * time.Second

// errPoisoned: a write missed its deadline or failed, and no later one is tried.
var errPoisoned = errors.New("the log is closed to writes")

// writer lets one write through at a time and waits for it no longer than the
// deadline. After one miss or one failure everything fails at once: whether the
// write happened is unknown, and only a new start can tell.
type writer struct {
	name    string
	failure *failure
	metrics *metrics

	mu       sync.Mutex
	poisoned bool
	// late is closed when the write that missed its deadline or failed has returned.
	late chan struct{}
}

func newWriter(name string, failure *failure, metrics *metrics) *writer {
	return &writer{name: name, failure: failure, metrics: metrics, late: make(chan struct{})}
}

// do runs write. Its goroutine outlives do only when the deadline is missed, and
// ends when the disk answers.
func (w *writer) do(write func() error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.poisoned {
		return errPoisoned
	}
	begin := time.Now()
	done := make(chan error, 1)
	go func() { done <- write() }()
	deadline := time.NewTimer(writeDeadline)
	defer deadline.Stop()
	select {
	case err := <-done:
		w.metrics.logWrite.Observe(time.Since(begin).Seconds())
		return w.outcome(err)
	case <-deadline.C:
		w.poison(done)
		return errPoisoned
	}
}

// outcome makes the member step down and the process stop after a failed write. Raft
// would go on, and panic when it cannot write its next term.
func (w *writer) outcome(err error) error {
	if err == nil {
		return nil
	}
	w.poisoned = true
	close(w.late)
	w.failure.raise(diskFault(w.name, err))
	w.failure.deliver()
	return fmt.Errorf("%w: %w", errPoisoned, err)
}

// poison makes the member step down now, and the process stop when the disk
// answers: before, it could not even be killed.
func (w *writer) poison(done <-chan error) {
	w.poisoned = true
	w.failure.raise(fault(codeDiskSlow, "write to %s took more than %s: %w", w.name, writeDeadline, errPoisoned))
	go func() {
		<-done
		close(w.late)
		w.failure.deliver()
	}()
}

// closeAfter closes the file, which waits for a late write: it is done in the
// background then.
func (w *writer) closeAfter(closeFile func() error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.poisoned {
		w.poisoned = true
		return closeFile()
	}
	go func() {
		<-w.late
		if err := closeFile(); err != nil {
			w.failure.log.Warn("log not closed after a late write", "err", err)
		}
	}()
	return nil
}
