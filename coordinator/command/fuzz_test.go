package command_test

import (
	"bytes"
	"errors"
	"hash/crc32"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/runway-platform/runway/coordinator/command"
	. "github.com/runway-platform/runway/coordinator/coordinatortest"
	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// isDefect reports whether an error of Apply is neither a rejection for a reason
// nor an entry that cannot be read.
func isDefect(err error) bool {
	var rejection *command.Rejection
	if errors.As(err, &rejection) {
		return errors.Is(err, command.ErrInternal)
	}
	return !errors.Is(err, command.ErrUnreadable)
}

// FuzzDecode: no bytes make Decode panic, and what it accepts it also encodes.
func FuzzDecode(f *testing.F) {
	for _, entry := range goldenEntries(f) {
		f.Add(entry)
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, entry []byte) {
		decoded, err := command.Decode(entry)
		if err != nil {
			if !errors.Is(err, command.ErrUnreadable) {
				t.Errorf("Decode() = %v, which is not ErrUnreadable", err)
			}
			return
		}
		if _, err := command.Encode(decoded); err != nil && !errors.Is(err, command.ErrInvalid) {
			t.Errorf("Encode() of a decoded command: %v", err)
		}
	})
}

func TestDecode_refusesWhatIsNoEntry(t *testing.T) {
	for name, entry := range map[string][]byte{"zero length": nil, "one byte": {0xff}, "half": goldenEntries(t)[0][:8]} {
		s := state.New()
		if _, err := command.Apply(s, 1, entry); !errors.Is(err, command.ErrUnreadable) {
			t.Errorf("%s: Apply() = %v, want ErrUnreadable", name, err)
		}
		if s.View().Index() != 0 {
			t.Errorf("%s was applied", name)
		}
	}
}

// FuzzApply: no command, however strange, is a defect, breaks an invariant, or
// makes a state that cannot be saved and loaded.
func FuzzApply(f *testing.F) {
	for _, payload := range story() {
		decided, err := command.New(Epoch, payload)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(int32(decided.GetKind()), decided.GetPayload())
	}
	populated := snapshotAfter(f, story()[:storyMiddle])
	f.Fuzz(func(t *testing.T, kind int32, payload []byte) {
		s := state.New()
		if err := s.Load(bytes.NewReader(populated)); err != nil {
			t.Fatal(err)
		}
		entry := envelope(t, kind, payload)
		if _, err := command.Apply(s, s.View().Index()+1, entry); err != nil && isDefect(err) {
			t.Fatalf("Apply() = %v", err)
		}
		checkPorts(t, s)
		var saved bytes.Buffer
		if err := s.View().Save(&saved); err != nil {
			t.Fatalf("Save() = %v", err)
		}
		if err := state.New().Load(&saved); err != nil {
			t.Fatalf("Load() = %v", err)
		}
	})
}

// checkPorts checks the invariants, but for room: a node may register again with
// less of it.
func checkPorts(t *testing.T, s *state.Store) {
	t.Helper()
	for _, node := range s.View().Nodes() {
		taken := map[uint32]bool{0: false}
		for _, replica := range s.View().ReplicasOn(node.GetId()) {
			port := replica.GetPlan().GetNodePort()
			if port != 0 && taken[port] {
				t.Fatalf("port %d of node %q is given twice", port, node.GetId())
			}
			taken[port] = true
		}
	}
}

// envelope makes an entry with a correct checksum of any payload.
func envelope(t *testing.T, kind int32, payload []byte) []byte {
	t.Helper()
	entry, err := proto.Marshal(&runwayv1.Command{
		Kind:    runwayv1.CommandKind(kind),
		At:      timestamppb.New(Epoch.Add(time.Hour)),
		Payload: payload,
		Crc:     crc32.Checksum(payload, crc32.MakeTable(crc32.Castagnoli)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return entry
}
