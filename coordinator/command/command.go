// Package command is the state machine: what each kind of log entry means. Apply
// is a pure function of the state and the entry; every id, time and placement
// comes in the command. One file per command, one line per command in registry.go.
package command

import (
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"

	"github.com/runway-platform/runway/coordinator/state"
)

// Version is the newest cluster version whose commands this program can apply.
const Version = 1

// MaxSize bounds an encoded command, in bytes: one slow follower or one damaged
// length must not hold up the log.
const MaxSize = 1 << 20

// Result is what an applied command gives back to its caller.
type Result struct {
	// Index is the Raft index of the command.
	Index uint64
	// Kind of the command, of one that was rejected too; unspecified for an entry that
	// could not be read.
	Kind runwayv1.CommandKind
	// Value is the object that the command made, or the Refusals of a command
	// that treats its items one by one; nil for the others. It is shared with the
	// state: clone it before changing it.
	Value proto.Message
}

// Errors of Decode and Apply. ErrUnreadable classes entries that no member may skip, because skipping one
// would give this member another state than the rest: the process must stop.
var (
	ErrUnreadable = errors.New("log entry cannot be applied")
	// ErrNewer is the ErrUnreadable of a sound entry of a newer version.
	ErrNewer = errors.New("a newer version wrote it")
)

// castagnoli is the polynomial with hardware support (CRC-32C).
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// New wraps one of the payload messages of command.proto. The error is ErrInvalid
// for any other message.
func New(at time.Time, payload proto.Message) (*runwayv1.Command, error) {
	kind, ok := kindOf(payload)
	if !ok {
		return nil, fmt.Errorf("make command of %T: %w", payload, ErrInvalid)
	}
	raw, err := proto.Marshal(payload)
	if err != nil {
		return nil, fmt.Errorf("encode command %v: %w: %w", kind, ErrInvalid, err)
	}
	return &runwayv1.Command{
		Kind:       kind,
		MinVersion: registry[kind].since,
		At:         timestamppb.New(at),
		Payload:    raw,
		Crc:        crc32.Checksum(raw, castagnoli),
	}, nil
}

// Encode returns the bytes for the log. A command above MaxSize is ErrInvalid.
func Encode(command *runwayv1.Command) ([]byte, error) {
	raw, err := proto.Marshal(command)
	if err != nil {
		return nil, fmt.Errorf("encode command %v: %w", command.GetKind(), err)
	}
	if len(raw) > MaxSize {
		return nil, reject(ErrInvalid, code.SpecInvalid, "the change has %d bytes; the most is %d", len(raw), MaxSize)
	}
	return raw, nil
}

// Decode returns the command in an entry. Errors wrap ErrUnreadable: the entry is
// damaged, or a newer version wrote it.
func Decode(entry []byte) (*runwayv1.Command, error) {
	var command runwayv1.Command
	if err := proto.Unmarshal(entry, &command); err != nil {
		return nil, fmt.Errorf("decode envelope: %w: %w", ErrUnreadable, err)
	}
	if sum := crc32.Checksum(command.GetPayload(), castagnoli); sum != command.GetCrc() {
		return nil, fmt.Errorf("checksum %08x, want %08x: %w", sum, command.GetCrc(), ErrUnreadable)
	}
	if _, known := registry[command.GetKind()]; !known || command.GetMinVersion() > Version {
		return nil, fmt.Errorf("kind %v of cluster version %d: %w: %w", command.GetKind(), command.GetMinVersion(), ErrUnreadable, ErrNewer)
	}
	if err := command.GetAt().CheckValid(); err != nil {
		return nil, fmt.Errorf("time of %v: %w: %w", command.GetKind(), ErrUnreadable, err)
	}
	return &command, nil
}

// Apply writes what the entry at index means into store. An error is either a
// *Rejection, and nothing was written, or wraps ErrUnreadable, and the caller
// must stop the process.
func Apply(store *state.Store, index uint64, entry []byte) (Result, error) {
	command, err := Decode(entry)
	if err != nil {
		return Result{}, fmt.Errorf("entry %d: %w", index, err)
	}
	handler := registry[command.GetKind()]
	payload := handler.empty()
	if err := proto.Unmarshal(command.GetPayload(), payload); err != nil {
		return Result{}, fmt.Errorf("entry %d: decode %v: %w: %w", index, command.GetKind(), ErrUnreadable, err)
	}
	result := Result{Index: index, Kind: command.GetKind()}
	err = store.Update(index, command.GetAt().AsTime(), func(tx *state.Tx) error {
		result.Value, err = guarded(handler.apply, tx, payload)
		return err
	})
	if err != nil {
		return Result{Kind: command.GetKind()}, asRejection(err)
	}
	return result, nil
}

// guarded turns a panic, which is a defect, into a rejection: one object that
// trips it must not stop every member at every start.
func guarded(apply applyFunc, tx *state.Tx, payload proto.Message) (value proto.Message, err error) {
	defer func() {
		if defect := recover(); defect != nil {
			err = reject(ErrInternal, code.Internal, "the command could not be applied: %v", defect)
		}
	}()
	return apply(tx, payload)
}
