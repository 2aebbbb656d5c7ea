package state

import (
	"fmt"
	"iter"
	"strings"

	"github.com/hashicorp/go-memdb"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// Object is a message of objects.proto that has a table of its own.
type Object interface {
	proto.Message
	GetMeta() *runwayv1.Meta
}

// metaField is the number of the field meta in every object.
const metaField protoreflect.FieldNumber = 1

// primary is the name that go-memdb demands for the unique index.
const primary = "id"

// keyEnd terminates every key, so that no key is the beginning of another one.
const keyEnd = "\x00"

// table says how objects of one type are found. Everything that is the same for
// all types is written once, here.
type table[T Object] struct {
	name Table
	// key identifies an object; never empty.
	key func(T) string
	// indexes find objects by something else. An empty value leaves the object
	// out of the index.
	indexes map[string]func(T) string
}

// anyTable is a table whose type of objects does not matter: to the schema and to
// the snapshot.
type anyTable interface {
	named() Table
	schema() *memdb.TableSchema
	empty() Object
}

func (t table[T]) named() Table { return t.name }

// empty returns a new object to decode into.
func (t table[T]) empty() Object {
	var zero T
	return zero.ProtoReflect().New().Interface().(Object)
}

func (t table[T]) schema() *memdb.TableSchema {
	indexes := map[string]*memdb.IndexSchema{
		primary: {Name: primary, Unique: true, Indexer: indexer[T](t.key)},
	}
	for name, value := range t.indexes {
		indexes[name] = &memdb.IndexSchema{Name: name, AllowMissing: true, Indexer: indexer[T](value)}
	}
	return &memdb.TableSchema{Name: string(t.name), Indexes: indexes}
}

// get returns the object with the key, or the nil pointer.
func (t table[T]) get(v *View, key string) T {
	raw, err := v.txn.First(string(t.name), primary, key)
	return typed[T](raw, err)
}

// find returns the first object with the value in the index, or the nil pointer.
func (t table[T]) find(v *View, index, value string) T {
	raw, err := v.txn.First(string(t.name), index, value)
	return typed[T](raw, err)
}

// all returns every object.
func (t table[T]) all(v *View) []T {
	objects := make([]T, 0, v.counts[t.name])
	for object := range each[T](v.txn.Get(string(t.name), primary)) {
		objects = append(objects, object)
	}
	return objects
}

// where returns the objects that have the value in the index.
func (t table[T]) where(v *View, index, value string) []T {
	var objects []T
	for object := range each[T](v.txn.Get(string(t.name), index, value)) {
		objects = append(objects, object)
	}
	return objects
}

// from returns the objects whose key is at least the given one.
func (t table[T]) from(v *View, key string) []T {
	var objects []T
	for object := range each[T](v.txn.LowerBound(string(t.name), primary, key)) {
		objects = append(objects, object)
	}
	return objects
}

// first returns the object with the lowest key, or the nil pointer.
func (t table[T]) first(v *View) T {
	raw, err := v.txn.First(string(t.name), primary)
	return typed[T](raw, err)
}

// firstBy returns the object with the lowest value in the index, or the nil pointer.
func (t table[T]) firstBy(v *View, index string) T {
	raw, err := v.txn.First(string(t.name), index)
	return typed[T](raw, err)
}

// backwards visits all objects from the last key to the first.
func (t table[T]) backwards(v *View) iter.Seq[T] {
	return each[T](v.txn.GetReverse(string(t.name), primary))
}

// put writes object, which belongs to the state from then on.
func (t table[T]) put(tx *Tx, object T) {
	key := t.key(object)
	if err := validKey(key); err != nil {
		tx.fail(fmt.Errorf("put %s %q: %w", t.name, key, err))
		return
	}
	old := t.get(tx.View, key)
	if any(old) == any(object) {
		tx.fail(fmt.Errorf("put %s %q: %w", t.name, key, ErrShared))
		return
	}
	tx.stamp(object, old)
	tx.insert(t.name, object, old.ProtoReflect().IsValid())
}

// remove deletes the object with the key, and does nothing when there is none.
func (t table[T]) remove(tx *Tx, key string) {
	if old := t.get(tx.View, key); old.ProtoReflect().IsValid() {
		tx.remove(t.name, old)
	}
}

func validKey(key string) error {
	if key == "" || strings.Contains(key, keyEnd) {
		return ErrKey
	}
	return nil
}

// typed gives a raw answer of go-memdb its type. Errors mean that a table or an
// index does not exist, which only a defect in this package can cause.
func typed[T Object](raw any, err error) T {
	mustFind(err)
	object, _ := raw.(T)
	return object
}

func each[T Object](objects memdb.ResultIterator, err error) iter.Seq[T] {
	mustFind(err)
	return func(yield func(T) bool) {
		for raw := objects.Next(); raw != nil; raw = objects.Next() {
			if !yield(raw.(T)) {
				return
			}
		}
	}
}

func mustFind(err error) {
	if err != nil {
		panic(fmt.Sprintf("state: table or index: %v", err))
	}
}

// indexer makes the bytes of an index from a function that returns a string.
type indexer[T Object] func(T) string

// FromObject implements memdb.SingleIndexer.
func (f indexer[T]) FromObject(raw any) (bool, []byte, error) {
	value := f(raw.(T))
	return value != "", []byte(value + keyEnd), nil
}

// FromArgs implements memdb.Indexer.
func (f indexer[T]) FromArgs(args ...any) ([]byte, error) {
	value, ok := args[0].(string)
	if !ok || len(args) != 1 {
		return nil, fmt.Errorf("index by %v: want one string", args)
	}
	return []byte(value + keyEnd), nil
}
