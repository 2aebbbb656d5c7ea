//go:build e2e

package network_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runway-platform/runway/agent/network"
	"github.com/runway-platform/runway/agent/network/networktest"
)

func TestNetwork_Conformance(t *testing.T) {
	if !inMachine(t) {
		return
	}
	networktest.Conformance(t, start(t, config(t, "n1", 1)))
}

// traces is everything a node could leave on a machine.
func traces(t *testing.T) string {
	t.Helper()
	return sh(t, "ip -o link | cut -d' ' -f2; ip rule; ip -4 route | sed 's/ linkdown//'; nft -s list ruleset; grep nsfs /proc/self/mounts || true")
}

func TestNetwork_TeardownLeavesNothing(t *testing.T) {
	if !inMachine(t) {
		return
	}
	sh(t, "iptables -P FORWARD DROP; iptables -P INPUT DROP")
	before := traces(t)
	cfg := config(t, "n1", 1)
	n, err := network.New(cfg, slog.New(slog.NewTextHandler(t.Output(), nil)))
	must(t, err)
	must(t, n.Start(t.Context()))
	for i := range 3 {
		attach(t, n, fmt.Sprintf("r%d", i))
	}
	must(t, n.Detach(t.Context(), "r1"))
	if during := traces(t); during == before {
		t.Fatal("nothing was made")
	}
	again, err := network.New(cfg, slog.New(slog.NewTextHandler(t.Output(), nil))) // another process, never started
	must(t, err)
	must(t, again.Teardown(t.Context()))
	must(t, again.Teardown(t.Context()))
	if diff := cmp.Diff(before, traces(t)); diff != "" {
		t.Errorf("traces are left (-before +after):\n%s", diff)
	}
	for _, dir := range []string{cfg.StateDir, cfg.RunDir} {
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Errorf("stat %s: got %v, want it gone", dir, err)
		}
	}
}

func TestNetwork_AttachDetachIdempotent(t *testing.T) {
	if !inMachine(t) {
		return
	}
	n := start(t, config(t, "n1", 1))
	before := traces(t)
	first := attach(t, n, "r1")
	links := sh(t, "ip -o link")
	if again := attach(t, n, "r1"); again != first {
		t.Errorf("second attach: got %+v, want %+v", again, first)
	}
	if got := sh(t, "ip -o link"); got != links {
		t.Errorf("second attach changed links:\n%s\nwant\n%s", got, links)
	}
	must(t, n.Detach(t.Context(), "r1"))
	must(t, n.Detach(t.Context(), "r1"))
	if diff := cmp.Diff(before, traces(t)); diff != "" {
		t.Errorf("traces are left (-before +after):\n%s", diff)
	}
}

func TestNetwork_AttachInParallel(t *testing.T) {
	if !inMachine(t) {
		return
	}
	n := start(t, config(t, "n1", 1))
	const replicas = 20
	got := make([]network.Attachment, replicas)
	var wg sync.WaitGroup
	for i := range replicas {
		wg.Go(func() {
			a, err := n.Attach(t.Context(), fmt.Sprintf("r%d", i/2)) // each replica is attached twice at once
			if err != nil {
				t.Errorf("attach: %v", err)
			}
			got[i] = a
		})
	}
	wg.Wait()
	seen := make(map[netip.Addr]string)
	for _, a := range got {
		if other, ok := seen[a.IP]; ok && other != a.ReplicaID {
			t.Errorf("%s and %s share %s", other, a.ReplicaID, a.IP)
		}
		seen[a.IP] = a.ReplicaID
	}
	if len(seen) != replicas/2 {
		t.Errorf("got %d addresses, want %d", len(seen), replicas/2)
	}
}

// reboot takes away what a reboot takes away: everything but the state folder.
func reboot(t *testing.T, cfg network.Config) {
	t.Helper()
	sh(t, "umount -q %s/netns/* || true; rm -rf %s", cfg.RunDir, cfg.RunDir)
	sh(t, "ip link del rw-%s; nft flush ruleset; ip rule flush; ip rule add table main pref 32766", cfg.Node)
}

func TestNetwork_SameAddressAfterReboot(t *testing.T) {
	if !inMachine(t) {
		return
	}
	cfg := config(t, "n1", 1)
	n := start(t, cfg)
	want := make(map[string]netip.Addr)
	for _, id := range []string{"a", "b", "c"} {
		want[id] = attach(t, n, id).IP
	}
	must(t, n.Detach(t.Context(), "a"))
	reboot(t, cfg)
	n = start(t, cfg)
	left, err := n.List(t.Context())
	must(t, err)
	if len(left) != 2 || left[0].NetNSPath != "" || left[0].IP != want["b"] {
		t.Fatalf("after reboot: got %+v, want the addresses of b and c without namespaces", left)
	}
	for i := range 3 { // newcomers first: they must not take a remembered address
		attach(t, n, fmt.Sprintf("new%d", i))
	}
	for _, id := range []string{"b", "c"} {
		if got := attach(t, n, id).IP; got != want[id] {
			t.Errorf("replica %s: got %s after the reboot, want %s", id, got, want[id])
		}
	}
	must(t, n.Detach(t.Context(), "b"))
}

func TestNetwork_AttachRepairsHalfMadeNamespace(t *testing.T) {
	if !inMachine(t) {
		return
	}
	n := start(t, config(t, "n1", 1))
	a := attach(t, n, "r1")
	t.Run("interface gone", func(t *testing.T) {
		sh(t, "nsenter --net=%s ip link del eth0", a.NetNSPath)
		if got := attach(t, n, "r1"); got != a {
			t.Errorf("got %+v, want %+v", got, a)
		}
		sh(t, "nsenter --net=%s ip route | grep -q default", a.NetNSPath)
	})
	t.Run("mount gone", func(t *testing.T) {
		sh(t, "umount %s", a.NetNSPath)
		if got := attach(t, n, "r1"); got != a {
			t.Errorf("got %+v, want %+v", got, a)
		}
	})
}

func TestNetwork_AttachRefusesWithoutRules(t *testing.T) {
	if !inMachine(t) {
		return
	}
	cfg := config(t, "n1", 1)
	n, err := network.New(cfg, slog.New(slog.NewTextHandler(t.Output(), nil)))
	must(t, err)
	t.Cleanup(func() { must(t, n.Teardown(context.WithoutCancel(t.Context()))) })
	path := os.Getenv("PATH")
	t.Setenv("PATH", "") // no nft: rules cannot be loaded
	if err := n.Start(t.Context()); err == nil {
		t.Fatal("start without nft: got no error")
	}
	if _, err := n.Attach(t.Context(), "r1"); !errors.Is(err, network.ErrUnguarded) {
		t.Fatalf("attach without rules: got %v, want ErrUnguarded", err)
	}
	t.Setenv("PATH", path)
	_, err = n.Check(t.Context())
	must(t, err)
	attach(t, n, "r1")
}

func TestNetwork_RestartAdoptsPublished(t *testing.T) {
	if !inMachine(t) {
		return
	}
	cfg := config(t, "n1", 1)
	first := start(t, cfg)
	a := attach(t, first, "r1")
	serve(t, a.NetNSPath, ":8080", "r1")
	must(t, first.Publish(t.Context(), map[uint16]netip.AddrPort{20000: netip.AddrPortFrom(a.IP, 8080)}))
	second := start(t, cfg)
	got, err := second.Published(t.Context())
	must(t, err)
	if want := (map[uint16]netip.AddrPort{20000: netip.AddrPortFrom(a.IP, 8080)}); !cmp.Equal(want, got, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })) {
		t.Errorf("published after restart: got %v, want %v", got, want)
	}
	wantAnswer(t, "", "10.64.1.1:20000", "r1 from 10.64.1.1")
	drifts, err := second.Check(t.Context())
	if err != nil || len(drifts) > 0 {
		t.Errorf("check after restart: got %v, %v; want nothing to repair", drifts, err)
	}
	if again := attach(t, second, "r1"); again != a {
		t.Errorf("attach after restart: got %+v, want %+v", again, a)
	}
}
