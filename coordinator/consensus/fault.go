package consensus

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"syscall"

	"github.com/runway-platform/runway/coordinator/command"
	"github.com/runway-platform/runway/proto/code"
)

const (
	codeEmpty      = code.DataDirectoryEmpty
	codeInUse      = code.DataDirectoryInUse
	codeLogCorrupt = code.LogCorrupt
	codeSnapshot   = code.SnapshotCorrupt
	codeUnknown    = code.UnknownCommand
	codeDiskSlow   = code.DiskSlow
)

// Fault is an error of this member's own files or program, with a stable code.
type Fault struct {
	Code code.Code
	Err  error
}

// Error implements error.
func (f *Fault) Error() string { return string(f.Code) + " " + f.Err.Error() }

// Unwrap returns the error without the code.
func (f *Fault) Unwrap() error { return f.Err }

func fault(c code.Code, format string, args ...any) *Fault {
	return &Fault{Code: c, Err: fmt.Errorf(format, args...)}
}

// diskFault gives a failed write the code of its cause: whoever is called for it
// either makes room or replaces a disk.
func diskFault(name string, err error) *Fault {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fault(code.DiskFull, "write to %s: %w", name, err)
	}
	return fault(code.DiskFailed, "write to %s: %w", name, err)
}

// unreadable gives an error of command.Apply the code it deserves.
func unreadable(err error) *Fault {
	if errors.Is(err, command.ErrNewer) {
		return &Fault{Code: codeUnknown, Err: err}
	}
	return &Fault{Code: codeLogCorrupt, Err: err}
}

// codeIn returns the code of an error, that of a defect when it has none.
func codeIn(err error) code.Code {
	var own *Fault
	if errors.As(err, &own) {
		return own.Code
	}
	return code.Internal
}

// failure is the one way in which a member gives up. The first error counts.
type failure struct {
	log       *slog.Logger
	metrics   *metrics
	delivered chan error

	mu    sync.Mutex
	first error
	then  func()
}

func newFailure(log *slog.Logger, metrics *metrics) *failure {
	return &failure{log: log, metrics: metrics, delivered: make(chan error, 1)}
}

// onFailure sets what stops the member; at once when it has failed already.
func (f *failure) onFailure(then func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.then = then
	if f.first != nil {
		then()
	}
}

// raise stops the member. The error is delivered by the call to deliver.
func (f *failure) raise(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.first != nil {
		return
	}
	f.first = err
	f.metrics.failures.WithLabelValues(string(codeIn(err))).Inc()
	f.log.Error("this member cannot go on", "err", err)
	if f.then != nil {
		f.then()
	}
}

// deliver makes the process stop, with the first error raised.
func (f *failure) deliver() {
	select {
	case f.delivered <- f.err():
	default:
	}
}

// err returns the first error raised.
func (f *failure) err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.first
}
