package loop

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// batch is the most bytes of one command of a controller: half of what the log
// takes, so that the envelope and what Apply adds never matter.
const batch = 512 << 10

// split returns commands that together say the same and are small enough each. A
// command that treats its items one by one has lists of them, which are halved until
// it is; any other is returned as it is.
func split(payload proto.Message, most int) []proto.Message {
	if proto.Size(payload) <= most {
		return []proto.Message{payload}
	}
	first, second := halves(payload)
	if second == nil {
		return []proto.Message{payload}
	}
	return append(split(first, most), split(second, most)...)
}

// halves cuts every list of a message in two; the second half is nil when there is
// none to cut.
func halves(payload proto.Message) (first, second proto.Message) {
	a, b := payload.ProtoReflect().New(), payload.ProtoReflect().New()
	cut := false
	payload.ProtoReflect().Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		if !field.IsList() {
			a.Set(field, value)
			b.Set(field, value)
			return true
		}
		middle := (value.List().Len() + 1) / 2
		move(a, field, value.List(), 0, middle)
		move(b, field, value.List(), middle, value.List().Len())
		cut = cut || middle < value.List().Len()
		return true
	})
	if !cut {
		return payload, nil
	}
	return a.Interface(), b.Interface()
}

func move(to protoreflect.Message, field protoreflect.FieldDescriptor, from protoreflect.List, low, high int) {
	if low == high {
		return
	}
	list := to.Mutable(field).List()
	for i := low; i < high; i++ {
		list.Append(from.Get(i))
	}
}
