package coordinatortest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/command"
	"github.com/runway-platform/runway/coordinator/state"
)

// State applies commands to a store at once, without Raft. Its clock is time.Now,
// which is the fake clock inside testing/synctest. It is safe for concurrent use.
type State struct {
	*state.Store

	mu    sync.Mutex
	index uint64
	log   []proto.Message
}

// NewState returns a state in which Init and then the given commands were applied.
func NewState(t testing.TB, payloads ...proto.Message) *State {
	t.Helper()
	s := &State{Store: state.New()}
	s.Must(t, Init())
	s.Must(t, payloads...)
	return s
}

// Apply encodes a command as the leader would and applies it.
func (s *State) Apply(ctx context.Context, payload proto.Message) (command.Result, error) {
	if err := ctx.Err(); err != nil {
		return command.Result{}, fmt.Errorf("apply %T: %w", payload, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	decided, err := command.New(time.Now(), payload)
	if err != nil {
		return command.Result{}, fmt.Errorf("apply %T: %w", payload, err)
	}
	entry, err := command.Encode(decided)
	if err != nil {
		return command.Result{}, fmt.Errorf("apply %T: %w", payload, err)
	}
	s.index++
	s.log = append(s.log, proto.Clone(payload))
	return command.Apply(s.Store, s.index, entry)
}

// Must applies commands and fails the test at the first one that is rejected, as
// a whole or in part.
func (s *State) Must(t testing.TB, payloads ...proto.Message) {
	t.Helper()
	for _, payload := range payloads {
		result, err := s.Apply(t.Context(), payload)
		if err != nil {
			t.Fatalf("apply %T %v: %v", payload, payload, err)
		}
		if refused := Refused(result); len(refused) > 0 {
			t.Fatalf("apply %T: refused %v", payload, refused)
		}
	}
}

// Log returns copies of the commands that were applied or rejected, in order.
func (s *State) Log() []proto.Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]proto.Message(nil), s.log...)
}
