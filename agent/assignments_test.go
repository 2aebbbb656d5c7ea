package agent

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

func welcome(incarnation string, epoch uint64) *runwayv1.AgentWelcome {
	return &runwayv1.AgentWelcome{Node: "node-1", Incarnation: incarnation, Epoch: epoch}
}

func setOf(generation uint64, full bool, all ...*runwayv1.Assignment) *runwayv1.AssignmentSet {
	return &runwayv1.AssignmentSet{Generation: generation, Full: full, Assignments: all}
}

func atEpoch(epoch uint64) func(*runwayv1.Assignment) {
	return func(a *runwayv1.Assignment) { a.NodeEpoch = epoch }
}

func TestAssignments_Apply(t *testing.T) {
	t.Parallel()
	base, err := (*assignments)(nil).apply(welcome("i1", 2), setOf(10, true, assignment("a", 1, atEpoch(2)), assignment("b", 2, atEpoch(2))))
	if err != nil {
		t.Fatal(err)
	}
	removal := setOf(11, false, assignment("c", 3))
	removal.Removed = []string{"a"}
	stop := withGoal(runwayv1.Goal_GOAL_STOP)
	for _, row := range []struct {
		name    string
		from    *assignments
		welcome *runwayv1.AgentWelcome
		set     *runwayv1.AssignmentSet
		want    []string
		err     error
	}{
		{"full set replaces", base, welcome("i1", 2), setOf(11, true, assignment("c", 3)), []string{"c"}, nil},
		{"difference adds and removes", base, welcome("i1", 2), removal, []string{"b", "c"}, nil},
		{"same generation again", base, welcome("i1", 2), setOf(10, true), nil, nil},
		{"older generation", base, welcome("i1", 2), setOf(9, true), nil, errOlder},
		{"older epoch of the node", base, welcome("i1", 1), setOf(11, true), nil, errOlder},
		{"other incarnation counts anew", base, welcome("i2", 1), setOf(1, true, assignment("x", 1)), []string{"x"}, nil},
		{"difference of another incarnation", base, welcome("i2", 1), setOf(11, false), nil, errNoBase},
		{"difference without a base", nil, welcome("i1", 1), setOf(1, false), nil, errNoBase},
		{"older epoch of a replica is ignored", base, welcome("i1", 2), setOf(11, false, assignment("a", 1, atEpoch(1), stop)), []string{"a", "b"}, nil},
		{"goal goes forward only", base, welcome("i1", 2), setOf(11, false, assignment("a", 1, atEpoch(2), stop)), []string{"a stop", "b"}, nil},
	} {
		got, err := row.from.apply(row.welcome, row.set)
		if !errors.Is(err, row.err) {
			t.Errorf("%s: error %v, want %v", row.name, err, row.err)
			continue
		}
		var ids []string
		for _, id := range []string{"a", "b", "c", "x"} {
			if err != nil || got.replicas[id] == nil {
				continue
			}
			if got.replicas[id].GetGoal() == runwayv1.Goal_GOAL_STOP {
				id += " stop"
			}
			ids = append(ids, id)
		}
		if diff := cmp.Diff(row.want, ids); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.name, diff)
		}
	}
	if len(base.replicas) != 2 {
		t.Errorf("applying changed the set before: %v", base.replicas)
	}
}

func TestAssignments_SurviveOnDisk(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if got, err := loadAssignments(folder); got != nil || err != nil {
		t.Fatalf("empty folder: got %v, %v", got, err)
	}
	set := setOf(12, true, assignment("a", 20001), assignment("b", 20002))
	set.Ingresses = []*runwayv1.IngressPeer{{Id: "g1", SourceAddress: "192.0.2.1"}}
	saved, err := (*assignments)(nil).apply(welcome("i1", 3), set)
	if err != nil {
		t.Fatal(err)
	}
	if err := saved.save(folder); err != nil {
		t.Fatal(err)
	}
	got, err := loadAssignments(folder)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(saved, got, protocmp.Transform(), cmp.AllowUnexported(assignments{})); diff != "" {
		t.Errorf("loaded (-saved +loaded):\n%s", diff)
	}
}

func TestReadFile_EveryFlippedBitIsFound(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	if err := writeFile(path, []byte("payload"), true); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for bit := range len(whole) * 8 {
		damaged := append([]byte{}, whole...)
		damaged[bit/8] ^= 1 << (bit % 8)
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readFile(path); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("bit %d flipped: got %v, want %v", bit, err, ErrCorrupt)
		}
	}
	for length := range whole {
		if err := os.WriteFile(path, whole[:length], 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readFile(path); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("cut to %d bytes: got %v, want %v", length, err, ErrCorrupt)
		}
	}
}

func TestWriteFile_NamesTheFileThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	if err := writeFile(filepath.Join(t.TempDir(), "no", "file"), nil, true); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want %v", err, os.ErrNotExist)
	}
}
