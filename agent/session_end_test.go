package agent

import (
	"context"
	"io"
	"testing"
	"testing/synctest"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// ending is a session that ends while the agent sends. What the coordinator sent before
// is still on its way then, and only behind it is the reason.
type ending struct {
	grpc.ClientConnInterface
	grpc.ClientStream
	sent   int
	ended  chan struct{}
	before []*runwayv1.CoordinatorMessage
	reason error
}

func (e *ending) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return e, nil
}

func (e *ending) SendMsg(any) error {
	if e.sent++; e.sent == 1 {
		return nil // hello
	}
	close(e.ended)
	return io.EOF
}

func (e *ending) CloseSend() error { return nil }

func (e *ending) RecvMsg(to any) error {
	if len(e.before) == 0 {
		return e.reason
	}
	next := e.before[0]
	if next.GetWelcome() == nil {
		<-e.ended
	}
	e.before = e.before[1:]
	proto.Merge(to.(proto.Message), next)
	return nil
}

// The reason names the leader, or what a person must do: it must not be lost because the
// agent was sending, nor behind more sets than it can acknowledge.
func TestSession_KnowsWhyItEndedWhileItSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &ending{ended: make(chan struct{}), reason: status.Error(codes.Aborted, "the machine was removed")}
		e.before = append(e.before, &runwayv1.CoordinatorMessage{Message: &runwayv1.CoordinatorMessage_Welcome{Welcome: welcome("i1", 1)}})
		for generation := range uint64(2 * outboxSize) {
			e.before = append(e.before, assigns(setOf(generation+1, true)))
		}
		r := newRig(t)
		deps := r.makeDeps()
		deps.Coordinator = e
		agent, err := New(r.config(), deps)
		if err != nil {
			t.Fatal(err)
		}
		if err := agent.session.once(t.Context()); status.Code(err) != codes.Aborted {
			t.Errorf("ended with %v, want the reason", err)
		}
	})
}
