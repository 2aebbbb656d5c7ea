package coordinatortest_test

import (
	"context"
	"errors"
	"testing"

	"github.com/runway-platform/runway/coordinator/command"
	. "github.com/runway-platform/runway/coordinator/coordinatortest"
)

func TestState_appliesAndRejects(t *testing.T) {
	s := NewState(t, RegisterNode("n1"), Deploy("d1", "web", Spec(), 2), Assign(Replica("r1", "web", 1, "n1", 20000)))
	if got := len(s.View().ReplicasOn("n1")); got != 1 {
		t.Errorf("n1 has %d replicas, want 1", got)
	}
	if err := CheckInvariants(s.View()); err != nil {
		t.Error(err)
	}
	if _, err := s.Apply(t.Context(), Init()); !errors.Is(err, command.ErrExists) {
		t.Errorf("second Init: %v, want ErrExists", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Apply(ended, RegisterNode("n2")); !errors.Is(err, context.Canceled) {
		t.Errorf("Apply with an ended context: %v", err)
	}
	if got, want := len(s.Log()), 5; got != want {
		t.Errorf("log has %d commands, want %d", got, want)
	}
}
