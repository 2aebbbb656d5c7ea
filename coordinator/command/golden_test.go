package command_test

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/runway-platform/runway/coordinator/command"
	. "github.com/runway-platform/runway/coordinator/coordinatortest"
	"github.com/runway-platform/runway/coordinator/fleet"
	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// update writes the golden log of the present cluster version again. Those of
// earlier versions never change: clusters have them on disk.
var update = flag.Bool("update", false, "write the golden log and snapshot of the present version")

// storyMiddle is where everything exists and nothing has ended yet.
const storyMiddle = 22

// story is a life of a cluster in which every kind of command occurs, some of them
// in vain.
func story() []proto.Message {
	worker := Spec()
	worker.ContainerPort, worker.Public, worker.Env = 0, false, map[string]string{"B": "2", "A": "1"}
	deployer := Token("deployer", runwayv1.Role_ROLE_DEPLOYER)
	deployer.Spaces = []string{"shop"}
	shop := &runwayv1.WorkloadKey{Space: "shop", Service: "cart", Environment: "staging"}
	return []proto.Message{
		Init(),
		&runwayv1.PutSpace{Name: "shop", Spec: &runwayv1.SpaceSpec{Description: "of the shop"}, Create: true},
		&runwayv1.PutSpace{Name: "shop", Create: true},
		&runwayv1.SetSpaceStatus{Name: "shop", Status: &runwayv1.SpaceStatus{Phase: runwayv1.SpacePhase_SPACE_PHASE_READY, Parts: []*runwayv1.SpacePart{{Name: "network", Ready: true}}}},
		&runwayv1.PutToken{Token: deployer},
		&runwayv1.PutJoinToken{Token: JoinToken("join", runwayv1.Role_ROLE_NODE)},
		&runwayv1.UseJoinToken{Token: "join"},
		&runwayv1.UseJoinToken{Token: "join"},
		RegisterNode("n1"),
		RegisterNode("n2"),
		RegisterIngress("i1"),
		RegisterIngress("i2"),
		Deploy("d1", "web", Spec(), 2),
		Deploy("d1", "web", Spec(), 2),
		&runwayv1.Deploy{Deployment: "d2", Workload: shop, Spec: worker, Strategy: "rolling", Wanted: []*runwayv1.Wanted{{Region: Region, Count: 1, Writer: "manifest"}}, IdempotencyKey: "once"},
		&runwayv1.SetDeploymentStatus{Deployment: "d1", Status: &runwayv1.DeploymentStatus{Phase: runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_ROLLING, Wanted: 2}, ModifiedIndex: 13},
		Assign(Replica("r1", "web", 1, "n1", 20000), Replica("r2", "web", 1, "n2", 20000), Replica("r3", "web", 1, "n2", 20000)),
		Report("n1", "r1", starting),
		Report("n1", "r1", running),
		Report("n2", "r2", running),
		Report("n2", "r1", failed),
		&runwayv1.ConfirmRoutes{Serving: []string{"r1", "r2"}},
		&runwayv1.SetDeploymentStatus{Deployment: "d1", Status: &runwayv1.DeploymentStatus{Phase: runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUCCEEDED, Serving: 2, Wanted: 2}, ModifiedIndex: 16},
		&runwayv1.SetWanted{Workload: Key("web"), Region: Region, Count: 3, Reason: "sale", Writer: "alice"},
		&runwayv1.Deploy{Deployment: "d3", Workload: Key("web"), Restart: true, CreatedBy: "alice"},
		&runwayv1.CancelDeployment{Deployment: "d3", By: "alice"},
		Deploy("d4", "web", Spec(), 2),
		drains(fleet.Unmissed, "r1", "r2"),
		drains(fleet.Whole, "r1", "r2"),
		drains(fleet.Whole/3, "r1", "r2"),
		&runwayv1.ConfirmRoutes{Drained: []string{"r1"}, Released: []string{"r1"}, NotServing: []string{"r2"}},
		goal("r1", runwayv1.Goal_GOAL_STOP),
		Report("n1", "r1", stopped),
		&runwayv1.PurgeReplicas{Replicas: []string{"r1", "r2"}},
		phase("n2", suspect),
		drains(fleet.Uncounted, "r2"), // in vain: it counts
		phase("n2", down),
		drains(fleet.Uncounted, "r2"),
		&runwayv1.SetNodeSpec{Node: "n1", Spec: &runwayv1.NodeSpec{Cordoned: true}},
		RegisterNode("n2"),
		&runwayv1.SetIngressPhase{Ingress: "i2", Phase: runwayv1.IngressPhase_INGRESS_PHASE_LOST, Reason: "silent"},
		&runwayv1.ConfirmRoutes{Unrouted: []string{"r2"}, Seen: 41},
		returns("i2", 41), // in vain: r2 has been given up since
		returns("i2", 42),
		&runwayv1.ConfirmRoutes{Drained: []string{"r2"}, Seen: 42}, // in vain: i2 is live since
		&runwayv1.RemoveIngress{Ingress: "i2"},
		RegisterIngress("i2"),
		&runwayv1.ReportIngress{Ingress: "i1", ProblemsOmitted: 1,
			Problems: []*runwayv1.RouteProblem{{Workload: Key("web"), Host: "web.runway.localhost", Cause: &runwayv1.Cause{Code: "RW-4101", Summary: "no certificate"}}},
			Refusal:  &runwayv1.RouteRefusal{Generation: 30, Going: []*runwayv1.WorkloadKey{Key("web")}, GoingTotal: 1}},
		&runwayv1.DeleteWorkload{Workload: shop, By: "alice"},
		&runwayv1.PurgeWorkload{Workload: shop},
		&runwayv1.PutSpace{Name: "shop", Spec: &runwayv1.SpaceSpec{Delete: true}},
		&runwayv1.PutSpace{Name: "closed", Spec: &runwayv1.SpaceSpec{Restricted: true}, Create: true},
		&runwayv1.RevokeToken{Token: "deployer"},
		&runwayv1.PurgeSpace{Name: "shop"},
		&runwayv1.RecordEvents{Events: []*runwayv1.Event{{Kind: "node.repaired", Node: "n1", Message: "a rule was missing"}}},
		&runwayv1.PutJoinToken{Token: JoinToken("later", runwayv1.Role_ROLE_INGRESS)},
		&runwayv1.RemoveNode{Node: "n1"},
		&runwayv1.RecordDeploymentReport{Deployment: "d1", Report: &runwayv1.DeploymentReport{
			Since: timestamppb.New(Epoch), Until: timestamppb.New(Epoch.Add(time.Minute)), Requests: 3, Failed: 1,
			Revisions: []*runwayv1.RevisionRequests{{Revision: 0, Requests: 1, Failed: 1}, {Revision: 1, Requests: 2}}, Incomplete: []string{"i2"},
		}},
		&runwayv1.Deploy{Deployment: "d5", Workload: Key("web"), Revision: 1, CreatedBy: "alice", Wanted: []*runwayv1.Wanted{{Region: Region, Count: 1, Writer: "manifest"}}},
	}
}

func returns(ingress string, seen uint64) *runwayv1.SetIngressPhase {
	return &runwayv1.SetIngressPhase{Ingress: ingress, Phase: runwayv1.IngressPhase_INGRESS_PHASE_LIVE, Reason: "has confirmed", Seen: seen}
}

func entriesOf(t testing.TB, payloads []proto.Message) [][]byte {
	t.Helper()
	var entries [][]byte
	for i, payload := range payloads {
		decided, err := command.New(Epoch.Add(time.Duration(i)*time.Second), payload)
		if err != nil {
			t.Fatal(err)
		}
		entry, err := command.Encode(decided)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, entry)
	}
	return entries
}

// replay applies entries to a fresh state and returns its snapshot.
func replay(t testing.TB, entries [][]byte) []byte {
	t.Helper()
	s := state.New()
	for i, entry := range entries {
		if _, err := command.Apply(s, uint64(i+1), entry); err != nil && isDefect(err) {
			t.Fatalf("entry %d: %v", i+1, err)
		}
	}
	var saved bytes.Buffer
	if err := s.View().Save(&saved); err != nil {
		t.Fatal(err)
	}
	return saved.Bytes()
}

func snapshotAfter(t testing.TB, payloads []proto.Message) []byte {
	t.Helper()
	return replay(t, entriesOf(t, payloads))
}

func TestGolden_everyLogStillMeansTheSame(t *testing.T) {
	if *update {
		writeGolden(t)
	}
	logs, err := filepath.Glob("testdata/*.log")
	if err != nil || len(logs) == 0 {
		t.Fatalf("no golden log: %v", err)
	}
	for _, path := range logs {
		t.Run(filepath.Base(path), func(t *testing.T) {
			entries := readLog(t, path)
			first, second := replay(t, entries), replay(t, entries)
			if !bytes.Equal(first, second) {
				t.Fatal("two replays give two states")
			}
			want, err := os.ReadFile(strings.TrimSuffix(path, ".log") + ".snapshot")
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(first, want) {
				t.Errorf("the log gives another state than it did: %d bytes, want %d", len(first), len(want))
			}
			if err := state.New().Load(bytes.NewReader(want)); err != nil {
				t.Errorf("the snapshot cannot be loaded: %v", err)
			}
		})
	}
}

func TestGolden_holdsEveryKind(t *testing.T) {
	seen := map[runwayv1.CommandKind]bool{}
	for _, entry := range goldenEntries(t) {
		decoded, err := command.Decode(entry)
		if err != nil {
			t.Fatal(err)
		}
		seen[decoded.GetKind()] = true
	}
	for number, name := range runwayv1.CommandKind_name {
		if number != 0 && !seen[runwayv1.CommandKind(number)] {
			t.Errorf("%s is in no golden log", name)
		}
	}
}

// TestStory_happens makes sure that the story is not a list of rejections.
func TestStory_happens(t *testing.T) {
	s := state.New()
	rejected := map[string]int{}
	for i, entry := range entriesOf(t, story()) {
		if _, err := command.Apply(s, uint64(i+1), entry); err != nil {
			rejected[fmt.Sprintf("%T", story()[i])]++
			t.Logf("%d %T: %v", i+1, story()[i], err)
		}
	}
	if len(rejected) != 6 || rejected["*runwayv1.SetIngressPhase"] != 1 || rejected["*runwayv1.ConfirmRoutes"] != 1 || rejected["*runwayv1.RegisterIngress"] != 1 || rejected["*runwayv1.PutSpace"] != 1 || rejected["*runwayv1.UseJoinToken"] != 1 || rejected["*runwayv1.Deploy"] != 1 {
		t.Errorf("rejected %v", rejected)
	}
}

func goldenPath(suffix string) string {
	return fmt.Sprintf("testdata/cluster-version-%d%s", command.Version, suffix)
}

func goldenEntries(t testing.TB) [][]byte {
	t.Helper()
	return readLog(t, goldenPath(".log"))
}

func writeGolden(t *testing.T) {
	t.Helper()
	entries := entriesOf(t, story())
	var log bytes.Buffer
	for _, entry := range entries {
		decoded, err := command.Decode(entry)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := protodelim.MarshalTo(&log, decoded); err != nil {
			t.Fatal(err)
		}
	}
	for suffix, content := range map[string][]byte{".log": log.Bytes(), ".snapshot": replay(t, entries)} {
		if err := os.WriteFile(goldenPath(suffix), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func readLog(t testing.TB, path string) [][]byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var entries [][]byte
	reader := bufio.NewReader(bytes.NewReader(content))
	for {
		var entry runwayv1.Command
		err := protodelim.UnmarshalFrom(reader, &entry)
		if errors.Is(err, io.EOF) {
			return entries
		}
		if err != nil {
			t.Fatalf("read %s: %v", path, err)
		}
		raw, err := proto.Marshal(&entry)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, raw)
	}
}
