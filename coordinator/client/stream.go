package client

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// sessionStream is a stream that both ends use. It cannot be repeated, but it
// remembers who leads for the next one.
type sessionStream struct {
	grpc.ClientStream
	conn *Conn
}

// RecvMsg receives the next message.
func (s *sessionStream) RecvMsg(message any) error {
	err := s.ClientStream.RecvMsg(message)
	if leader, ok := leaderOf(err); ok && leader != "" {
		s.conn.learn(leader)
	}
	return err
}

// answerStream is a stream with one request. It is opened by the first RecvMsg,
// inside the search for the leader. Like every grpc.ClientStream it is used by one
// goroutine that receives.
type answerStream struct {
	conn    *Conn
	ctx     context.Context
	open    func(context.Context, *grpc.ClientConn) (grpc.ClientStream, error)
	request any
	inner   grpc.ClientStream
}

// grpc.ClientStream

func (s *answerStream) SendMsg(request any) error {
	s.request = request
	return nil
}

func (s *answerStream) CloseSend() error { return nil }

func (s *answerStream) RecvMsg(message any) error {
	if s.inner != nil {
		return s.inner.RecvMsg(message)
	}
	return s.conn.search(s.ctx, func(ctx context.Context, to *grpc.ClientConn) error {
		stream, err := s.open(ctx, to)
		if err != nil {
			return err
		}
		if err := ask(stream, s.request); err != nil {
			return err
		}
		if err := stream.RecvMsg(message); err != nil {
			return err
		}
		s.inner = stream
		return nil
	})
}

func (s *answerStream) Header() (metadata.MD, error) {
	if s.inner == nil {
		return nil, nil
	}
	return s.inner.Header()
}

func (s *answerStream) Trailer() metadata.MD {
	if s.inner == nil {
		return nil
	}
	return s.inner.Trailer()
}

func (s *answerStream) Context() context.Context { return s.ctx }

// ask sends the one request. When the stream has ended already, its reason is what
// RecvMsg returns, so an end of file here is not the answer.
func ask(stream grpc.ClientStream, request any) error {
	if err := stream.SendMsg(request); err != nil {
		if reason := stream.RecvMsg(nil); reason != nil {
			return reason
		}
		return err
	}
	return stream.CloseSend()
}
