package command_test

import (
	"errors"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/command"
	. "github.com/runway-platform/runway/coordinator/coordinatortest"
	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

func TestNew_wrapsEveryKind(t *testing.T) {
	seen := map[runwayv1.CommandKind]bool{}
	for _, payload := range story() {
		decided, err := command.New(Epoch, payload)
		if err != nil {
			t.Fatal(err)
		}
		if decided.GetMinVersion() == 0 || !decided.GetAt().AsTime().Equal(Epoch) {
			t.Errorf("%T has version %d and time %v", payload, decided.GetMinVersion(), decided.GetAt().AsTime())
		}
		seen[decided.GetKind()] = true
	}
	if got, want := len(seen), len(runwayv1.CommandKind_name)-1; got != want {
		t.Errorf("%d kinds have a payload, want %d", got, want)
	}
	if _, err := command.New(Epoch, &runwayv1.Space{}); !errors.Is(err, command.ErrInvalid) {
		t.Errorf("New of what is no command: %v", err)
	}
	if _, err := command.New(Epoch, nil); !errors.Is(err, command.ErrInvalid) {
		t.Errorf("New of nothing: %v", err)
	}
}

func TestEncode_refusesWhatIsTooLarge(t *testing.T) {
	events := &runwayv1.RecordEvents{}
	for range 10_000 {
		events.Events = append(events.Events, &runwayv1.Event{Kind: "x", Message: string(make([]byte, 200))})
	}
	decided, err := command.New(Epoch, events)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := command.Encode(decided); !errors.Is(err, command.ErrInvalid) {
		t.Errorf("Encode() = %v, want ErrInvalid", err)
	}
}

func TestDecode_refuses(t *testing.T) {
	tests := []struct {
		name   string
		damage func(*runwayv1.Command)
		newer  bool
	}{
		{"checksum", func(c *runwayv1.Command) { c.Crc ^= 1 }, false},
		{"payload", func(c *runwayv1.Command) { c.Payload[0] ^= 1 }, false},
		{"no time", func(c *runwayv1.Command) { c.At = nil }, false},
		{"impossible time", func(c *runwayv1.Command) { c.At.Nanos = -1 }, false},
		{"unknown kind", func(c *runwayv1.Command) { c.Kind = 1 << 20 }, true},
		{"no kind", func(c *runwayv1.Command) { c.Kind = 0 }, true},
		{"newer version", func(c *runwayv1.Command) { c.MinVersion = command.Version + 1 }, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			decided, err := command.New(Epoch, RegisterNode("n1"))
			if err != nil {
				t.Fatal(err)
			}
			test.damage(decided)
			entry, err := proto.Marshal(decided)
			if err != nil {
				t.Fatal(err)
			}
			s := state.New()
			_, err = command.Apply(s, 1, entry)
			if !errors.Is(err, command.ErrUnreadable) || errors.Is(err, command.ErrNewer) != test.newer {
				t.Errorf("Apply() = %v, newer %t", err, test.newer)
			}
			if s.View().Index() != 0 {
				t.Error("an unreadable entry was written")
			}
		})
	}
}
