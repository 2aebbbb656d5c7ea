package state

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// Errors of writes. They end the Update that the write belongs to.
var (
	// ErrKey: an object's key is empty or holds a NUL byte.
	ErrKey = errors.New("key is empty or has a NUL byte")
	// ErrShared: an object was changed in place instead of being cloned.
	ErrShared = errors.New("object is shared with readers; clone it first")
)

// Tx is the state in the middle of one command: reads see its own writes. A write
// takes over the object and stamps its Meta; a failed one makes the whole Update
// fail, so that commands read without an error check per line.
type Tx struct {
	*View
	at      *timestamppb.Timestamp
	written map[Table]bool
	// events counts those that this command wrote.
	events uint32
	err    error
}

// At returns when the command was decided. Callers must not change it.
func (tx *Tx) At() *timestamppb.Timestamp { return tx.at }

// Clone returns a copy of object that may be changed and put back.
func Clone[T Object](object T) T { return proto.CloneOf(object) }

func (tx *Tx) fail(err error) {
	if tx.err == nil {
		tx.err = err
	}
}

// stamp says when object was made, by old, and that it is written now.
func (tx *Tx) stamp(object, old Object) {
	meta := &runwayv1.Meta{
		CreatedIndex:  tx.index,
		CreatedAt:     tx.at,
		ModifiedIndex: tx.index,
		ModifiedAt:    tx.at,
	}
	if before := old.GetMeta(); before != nil {
		meta.CreatedIndex, meta.CreatedAt = before.CreatedIndex, before.CreatedAt
	}
	message := object.ProtoReflect()
	field := message.Descriptor().Fields().ByNumber(metaField)
	message.Set(field, protoreflect.ValueOfMessage(meta.ProtoReflect()))
}

func (tx *Tx) insert(table Table, object Object, existed bool) {
	if err := tx.txn.Insert(string(table), object); err != nil {
		tx.fail(fmt.Errorf("insert into %s: %w", table, err))
		return
	}
	tx.written[table] = true
	if !existed {
		tx.counts[table]++
	}
}

func (tx *Tx) remove(table Table, object Object) {
	if err := tx.txn.Delete(string(table), object); err != nil {
		tx.fail(fmt.Errorf("delete from %s: %w", table, err))
		return
	}
	tx.written[table] = true
	tx.counts[table]--
}
