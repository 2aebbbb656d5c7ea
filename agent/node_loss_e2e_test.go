//go:build e2e

package agent

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"

	"github.com/runway-platform/runway/agent/cgroup"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

func (n *node) allReady(ids []string, attempt uint32) bool {
	return !slices.ContainsFunc(ids, func(id string) bool {
		return !n.status(id).GetReady() || n.status(id).GetAttempt() != attempt
	})
}

// reborn is the agent's next life.
func (n *node) reborn() {
	n.registry = prometheus.NewRegistry()
	n.boot()
}

// B1: the agent ends and comes back twenty times under requests: same processes, no request lost.
func TestB1_RestartsUnderLoad_OnRealParts(t *testing.T) {
	if !insideMachine(t) {
		return
	}
	n := newNode(t)
	n.boot()
	ids := n.three()
	before := map[string]string{}
	for _, id := range ids {
		before[id] = fmt.Sprint(n.status(id).GetPid(), n.status(id).GetStartedAt().AsTime())
	}
	ctx, cancel := context.WithCancel(t.Context())
	var asked, failed atomic.Int64
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 2 * time.Second}
		for i := 0; ctx.Err() == nil; i++ {
			answer, err := client.Get(fmt.Sprintf("http://10.64.9.1:%d/", 20001+i%3))
			if asked.Add(1); err != nil {
				failed.Add(1)
				continue
			}
			if answer.StatusCode != http.StatusOK {
				failed.Add(1)
			}
			_ = answer.Body.Close()
		}
	}()
	for range 20 {
		n.kill()
		n.reborn()
		n.until("all seen again", func() bool { return n.allReady(ids, 0) && n.status("three").GetPid() != 0 })
	}
	cancel()
	<-ended
	for _, id := range ids {
		if now := fmt.Sprint(n.status(id).GetPid(), n.status(id).GetStartedAt().AsTime()); now != before[id] {
			t.Errorf("replica %q: process %s, want %s untouched", id, now, before[id])
		}
	}
	if t.Logf("%d requests", asked.Load()); failed.Load() != 0 || asked.Load() < 40 {
		t.Errorf("%d of %d requests failed, want none", failed.Load(), asked.Load())
	}
	n.assign()
	n.nothingLeft()
}

// B3: containerd is killed in the middle of twenty stops. What was ordered is so within a minute, and nothing is left behind.
func TestB3_ContainerdKilledDuringStops_OnRealParts(t *testing.T) {
	if !insideMachine(t) {
		return
	}
	n := newNode(t)
	n.boot()
	var all, kept []*runwayv1.Assignment
	for i := range 22 {
		all = append(all, n.assignment(fmt.Sprintf("r%d", i), 20100+uint32(i)))
	}
	n.assign(all...)
	ready := func(some []*runwayv1.Assignment) bool {
		return !slices.ContainsFunc(some, func(a *runwayv1.Assignment) bool { return !n.status(a.GetReplica()).GetReady() })
	}
	n.until("all ready", func() bool { return ready(all) })
	kept = all[20:]
	n.assign(kept...)
	n.until("stops under way", func() bool { return len(n.shims()) < 20 })
	n.killed(n.daemon.Process.Pid)
	_ = n.daemon.Wait()
	t.Logf("containerd killed with %d shims left", len(n.shims()))
	n.startDaemon()
	began := time.Now()
	n.until("only what is desired", func() bool {
		shims := n.shims()
		return len(shims) == 2 && shims["r20-0"] != 0 && shims["r21-0"] != 0 && ready(kept)
	})
	t.Logf("as desired after %s", time.Since(began))
	containers, err := n.runtime.List(t.Context())
	if err != nil || len(containers) != 2 {
		t.Errorf("containers %v, %v: want the two that stay", containers, err)
	}
	n.assign()
	n.nothingLeft()
}

// B5: the machine restarts and no coordinator is there. Run directory, processes, namespaces and rules are gone, the disk is not.
func TestB5_Reboot_OnRealParts(t *testing.T) {
	if !insideMachine(t) {
		return
	}
	n := newNode(t)
	n.boot()
	ids := n.three()
	addresses := map[string]string{}
	for _, id := range ids {
		addresses[id] = n.status(id).GetAddress()
	}
	ports, err := n.network.Published(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n.reboot()
	n.startNetwork()
	n.reborn() // before containerd
	n.startDaemon()
	began := time.Now()
	n.until("all serving", func() bool { return n.allReady(ids, 1) })
	took := time.Since(began)
	t.Logf("serving %s after containerd is up", took)
	again, err := n.network.Published(t.Context())
	if diff := cmp.Diff(ports, again, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" || err != nil || took > 10*time.Second {
		t.Errorf("after %s, %v: ports (-before +after):\n%s", took, err, diff)
	}
	for i, id := range ids {
		if n.status(id).GetAddress() != addresses[id] {
			t.Errorf("replica %q is at %s, want %s", id, n.status(id).GetAddress(), addresses[id])
		}
		n.answers(20001+uint16(i), "hello from "+id)
	}
	n.nothingStale(ids)
	n.assign()
	n.nothingLeft()
}

// reboot takes away everything that a restart of the machine does.
func (n *node) reboot() {
	n.t.Helper()
	n.kill()
	n.killed(n.daemon.Process.Pid)
	_ = n.daemon.Wait()
	for _, pid := range n.shims() {
		n.killed(pid)
	}
	children, err := cgroup.Open().Children(n.parent)
	if err != nil {
		n.t.Fatal(err)
	}
	for _, child := range children {
		group := cgroup.Open().Group(n.parent + "/" + child)
		if err := errors.Join(group.Kill(n.t.Context()), group.Remove(n.t.Context())); err != nil {
			n.t.Fatal(err)
		}
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		n.t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		point := strings.Fields(line)[1]
		if strings.HasPrefix(point, n.path("state")+"/") || strings.HasPrefix(point, n.path("netrun")+"/") {
			_ = unix.Unmount(point, unix.MNT_DETACH)
		}
	}
	for _, folder := range []string{n.path("state"), n.path("netrun"), filepath.Join("/run/containerd/runc", containerdNamespace)} {
		if err := os.RemoveAll(folder); err != nil {
			n.t.Fatal(err)
		}
	}
	for _, run := range []string{"nft flush ruleset", "ip -o link show type bridge | cut -d: -f2 | xargs -r -n1 ip link del", "ip rule flush; ip rule add pref 32766 lookup main; ip rule add pref 32767 lookup default"} {
		if out, err := exec.CommandContext(n.t.Context(), "sh", "-c", run).CombinedOutput(); err != nil {
			n.t.Fatalf("%s: %v: %s", run, err, out)
		}
	}
}

// nothingStale compares namespaces, links and elements of the table with what is desired.
func (n *node) nothingStale(ids []string) {
	n.t.Helper()
	places, err := n.network.List(n.t.Context())
	if err != nil || len(places) != len(ids) {
		n.t.Errorf("places %v, %v: want one each", places, err)
	}
	for _, place := range places {
		if place.NetNSPath == "" || !slices.Contains(ids, place.ReplicaID) {
			n.t.Errorf("stale place %+v", place)
		}
	}
	out, err := exec.CommandContext(n.t.Context(), "sh", "-c", "ip -o link show type veth | wc -l").Output()
	if err != nil || strings.TrimSpace(string(out)) != fmt.Sprint(len(ids)) {
		n.t.Errorf("%s links of replicas, %v: want %d", out, err, len(ids))
	}
	if drift, err := n.network.Check(n.t.Context()); err != nil || len(drift) != 0 {
		n.t.Errorf("rules drifted: %v, %v", drift, err)
	}
}
