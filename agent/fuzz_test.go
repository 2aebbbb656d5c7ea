package agent

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/runway-platform/runway/agent/runtimetest"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// maxFuzzed bounds an input: what is wrong with a large set is wrong with a small one.
const maxFuzzed = 4 << 10

// FuzzAssignments gives a node whatever parses as a set. The agent lives, a replica that the set does not speak of runs on, the
// disk has what is in use, nothing is written outside the agent's folders, and the next good set is carried out.
func FuzzAssignments(f *testing.F) {
	for _, set := range assignmentSets() {
		raw, err := proto.Marshal(set)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		set := new(runwayv1.AssignmentSet)
		if len(raw) > maxFuzzed || proto.Unmarshal(raw, set) != nil {
			t.Skip()
		}
		onRig(t, func(t *testing.T, r *rig) {
			r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{})
			r.assign(assignment("safe", 20000))
			r.untilReady("safe")
			receive(t, r, set)
			time.Sleep(10 * time.Second)
			synctest.Wait()
			if status := r.status("safe"); !speaksOf(set, "safe") && (!status.GetReady() || status.GetAttempt() != 0) {
				t.Errorf("after %v the other replica is %v", set, status)
			}
			if found, err := os.ReadDir(filepath.Dir(r.dir)); err != nil || len(found) != 2 {
				t.Errorf("after %v there is %v beside the agent's folders, %v", set, found, err)
			}
			r.generation = math.MaxUint32
			r.assign(assignment("after", 29999))
			r.untilReady("after")
		})
	})
}

// receive takes a set over as the session does.
func receive(t *testing.T, r *rig, set *runwayv1.AssignmentSet) {
	t.Helper()
	before, err := loadAssignments(r.dir)
	if err != nil {
		t.Fatal(err)
	}
	next, err := before.apply(welcome("i1", 1), set)
	if errors.Is(err, errOlder) {
		return
	}
	if err != nil {
		t.Fatalf("apply %v: %v", set, err)
	}
	if err := next.save(r.dir); err != nil {
		t.Fatal(err)
	}
	saved, err := loadAssignments(r.dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(next.replicas, saved.replicas, protocmp.Transform()); diff != "" {
		t.Errorf("on disk (-used +saved):\n%s", diff)
	}
	r.worker.inbox.putDesired(next)
}

// speaksOf reports whether a set may change a replica.
func speaksOf(set *runwayv1.AssignmentSet, replica string) bool {
	return set.GetFull() || slices.Contains(set.GetRemoved(), replica) ||
		slices.ContainsFunc(set.GetAssignments(), func(a *runwayv1.Assignment) bool { return a.GetReplica() == replica })
}

func assignmentSets() []*runwayv1.AssignmentSet {
	probes := assignment("p", 20001)
	for _, probe := range []**runwayv1.Probe{&probes.Spec.StartupProbe, &probes.Spec.ReadinessProbe, &probes.Spec.LivenessProbe} {
		*probe = &runwayv1.Probe{
			Kind: runwayv1.ProbeKind_PROBE_KIND_HTTP, Path: "/\r\nX: y", Period: durationpb.New(-time.Hour),
			Timeout: &durationpb.Duration{Seconds: math.MaxInt64}, InitialDelay: &durationpb.Duration{Seconds: math.MinInt64},
		}
	}
	hasty := assignment("b", 20004)
	hasty.Spec.StartupProbe = &runwayv1.Probe{
		Kind: runwayv1.ProbeKind_PROBE_KIND_HTTP, Declared: true, Period: &durationpb.Duration{Nanos: 1}, FailureThreshold: math.MaxInt32,
	}
	huge := assignment("h", 20002)
	huge.Spec.Resources = &runwayv1.Resources{CpuLimitMilli: math.MaxInt64, MemoryBytes: math.MinInt64, Pids: math.MinInt64}
	huge.Spec.TerminationGrace = &durationpb.Duration{Seconds: math.MaxInt64}
	path := assignment("../../outside", 20003)
	other := assignment("q", 20000, withGoal(runwayv1.Goal(99)))
	other.Spec.Image.Resolved = "\x00"
	gone := setOf(3, false)
	gone.Removed = []string{"safe", "..", ""}
	peers := setOf(4, false, assignment("c", math.MaxUint32), assignment("d", 20000+1<<16), nil)
	peers.Ingresses = []*runwayv1.IngressPeer{{Id: "g1", SourceAddress: "fe80::1%eth0"}, nil, {SourceAddress: "0.0.0.0"}}
	return []*runwayv1.AssignmentSet{
		setOf(2, true), setOf(2, false, assignment("a", 20001)), setOf(2, false, probes), setOf(2, false, huge), setOf(2, false, hasty), setOf(2, false, path),
		setOf(2, false, other), setOf(2, false, &runwayv1.Assignment{}), setOf(math.MaxUint64, false, assignment("", 0)), gone, peers, setOf(0, false),
	}
}
