//go:build e2e

package agent

import (
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/procfs"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// three deploys replicas on node ports 20001 to 20003 and returns their IDs.
func (n *node) three() []string {
	n.t.Helper()
	ids := []string{"one", "two", "three"}
	for i, id := range ids {
		n.deploy(id, 20001+uint32(i))
	}
	n.until("processes known", func() bool {
		return !slices.ContainsFunc(ids, func(id string) bool { return n.status(id).GetPid() == 0 })
	})
	return ids
}

// shims are the shims of this node's containerd, by container.
func (n *node) shims() map[string]int {
	n.t.Helper()
	processes, err := procfs.AllProcs()
	if err != nil {
		n.t.Fatal(err)
	}
	found := map[string]int{}
	for _, process := range processes {
		words, err := process.CmdLine()
		if err != nil || len(words) == 0 || filepath.Base(words[0]) != "containerd-shim-runc-v2" || !slices.Contains(words, n.path("sock")) {
			continue
		}
		if at := slices.Index(words, "-id"); at >= 0 {
			found[words[at+1]] = process.PID
		}
	}
	return found
}

func (n *node) killed(pid int) {
	n.t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		n.t.Fatal(err)
	}
}

// B4: a killed shim costs its replica five seconds, and the reason is counted.
func TestB4_ShimKilled_OnRealParts(t *testing.T) {
	if !insideMachine(t) {
		return
	}
	n := newNode(t)
	n.boot()
	ids := n.three()
	address := n.status("two").GetAddress()
	n.killed(n.shims()["two-0"])
	took := n.until("two again", func() bool { return n.status("two").GetReady() && n.status("two").GetAttempt() == 1 })
	if took > 5*time.Second || n.status("two").GetAddress() != address {
		t.Errorf("healthy after %s at %s, want within 5s at %s", took, n.status("two").GetAddress(), address)
	}
	t.Logf("healthy again after %s", took)
	lost := testutil.ToFloat64(n.worker.deps.Metrics.restarts.WithLabelValues("RW-5005"))
	ended := testutil.ToFloat64(n.worker.deps.Metrics.restarts.WithLabelValues("RW-1102"))
	if lost+ended != 1 {
		t.Errorf("counted %v lost and %v ended, want the restart with its reason", lost, ended)
	}
	if n.status(ids[0]).GetAttempt() != 0 || n.status(ids[2]).GetAttempt() != 0 {
		t.Error("a neighbour restarted, too")
	}
	n.assign()
	n.nothingLeft()
}

// B12: a child over the limit is an event with limit, peak and advice; the first process is the restart's cause. Neighbours and the
// agent notice nothing.
func TestB12_OverMemory_OnRealParts(t *testing.T) {
	if !insideMachine(t) {
		return
	}
	n := newNode(t)
	n.boot()
	ids := n.three()
	n.ask(n.status("two").GetAddress(), "/eat")
	took := n.until("two again", func() bool { return n.status("two").GetReady() && n.status("two").GetAttempt() == 1 })
	t.Logf("healthy again after %s", took)
	if got := n.status("two"); !got.GetOomKilled() || testutil.ToFloat64(n.worker.deps.Metrics.restarts.WithLabelValues("RW-1103")) != 1 {
		t.Errorf("got %v, want the restart put down to memory", got)
	}
	n.ask(n.status("two").GetAddress(), "/eat-in-child")
	text := func() string {
		n.reporter.mu.Lock()
		defer n.reporter.mu.Unlock()
		for _, e := range n.reporter.events {
			if e.event.GetKind() == "replica.oom" {
				return e.event.GetMessage()
			}
		}
		return ""
	}
	n.until("event", func() bool { return text() != "" })
	if got := text(); !strings.HasPrefix(got, "killed at its memory limit of 64 MiB; peak 6") || !strings.HasSuffix(got, "give it 96 MiB or more") {
		t.Errorf("event %q, want limit, peak and advice", got)
	}
	for _, id := range ids {
		if want := map[string]uint32{"two": 1}[id]; n.status(id).GetAttempt() != want || !n.status(id).GetReady() {
			t.Errorf("replica %q: %v, want attempt %d", id, n.status(id), want)
		}
	}
	n.assign()
	n.nothingLeft()
}

// ask sends a request that may not be answered.
func (n *node) ask(address, path string) {
	n.t.Helper()
	client := &http.Client{Timeout: realPatience}
	if answer, err := client.Get(fmt.Sprintf("http://%s:%d%s", address, containerPort, path)); err == nil {
		_ = answer.Body.Close()
	}
}

// An image that runs as root is refused in a restricted space, with the reason, and leaves nothing.
func TestNode_RestrictedSpaceRefusesRoot_OnRealParts(t *testing.T) {
	if !insideMachine(t) {
		return
	}
	n := newNode(t)
	n.boot()
	restricted := n.assignment("r", 20001)
	restricted.Restricted = true
	n.assign(restricted, n.assignment("open", 20002))
	n.until("refused", func() bool { return n.status("r").GetPhase() == runwayv1.ReplicaPhase_REPLICA_PHASE_FAILED })
	if why := n.status("r").GetCause(); !strings.Contains(why.GetSummary(), "set a USER other than root") {
		t.Errorf("cause %v, want what to do", why)
	}
	n.until("neighbour in another space", func() bool { return n.status("open").GetReady() })
	n.assign()
	n.nothingLeft()
}
