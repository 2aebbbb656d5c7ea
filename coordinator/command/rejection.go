package command

import (
	"errors"
	"fmt"

	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
)

// Classes of rejections, for errors.Is.
var (
	// ErrNotFound: the object that the command is about does not exist.
	ErrNotFound = errors.New("not found")
	// ErrConflict: the object is in a state in which the command has no meaning,
	// or has changed since the caller read it; read again.
	ErrConflict = errors.New("conflict")
	// ErrExists: the object that the command would make exists already.
	ErrExists = errors.New("exists")
	// ErrInvalid: the command itself is not allowed; it will never be.
	ErrInvalid = errors.New("invalid")
	// ErrInternal: a defect of the state machine.
	ErrInternal = errors.New("internal")
)

// Rejection says why a command was not applied. Nothing of it was written.
type Rejection struct {
	// Code is the stable code for users.
	Code code.Code
	// Message is one sentence with the facts of the case.
	Message string
	// Kind is one of the classes above.
	Kind error
}

// Error implements error.
func (r *Rejection) Error() string { return string(r.Code) + " " + r.Message }

// Unwrap makes errors.Is find the class.
func (r *Rejection) Unwrap() error { return r.Kind }

func reject(kind error, c code.Code, format string, args ...any) *Rejection {
	return &Rejection{Code: c, Message: fmt.Sprintf(format, args...), Kind: kind}
}

// asRejection classes what an Update returned: handlers return rejections, and
// the state refuses keys that no handler looked at.
func asRejection(err error) error {
	var rejection *Rejection
	switch {
	case errors.As(err, &rejection):
		return rejection
	case errors.Is(err, state.ErrKey):
		return reject(ErrInvalid, code.SpecInvalid, "%v", err)
	default:
		return reject(ErrInternal, code.Internal, "%v", err)
	}
}
