//go:build e2e

package network_test

import (
	"log/slog"
	"maps"
	"net/netip"
	"testing"

	"github.com/runway-platform/runway/agent/network"
)

func wantHolders(t *testing.T, n *network.Network, want map[uint16]string) {
	t.Helper()
	if got, err := n.Holders(t.Context()); err != nil || !maps.Equal(got, want) {
		t.Errorf("holders: got %v, %v; want %v", got, err, want)
	}
}

func TestHolders_AreTheKernelsAlsoAfterARestartOrAForeignHand(t *testing.T) {
	if !inMachine(t) {
		return
	}
	cfg := config(t, "n1", 1)
	n := start(t, cfg)
	wantHolders(t, n, map[uint16]string{})
	r1, r2 := attach(t, n, "r1"), attach(t, n, "r2")
	publish(t, n, map[uint16]network.Attachment{20000: r1, 20001: r2})
	want := map[uint16]string{20000: "r1", 20001: "r2"}
	wantHolders(t, n, want)

	next, err := network.New(cfg, slog.New(slog.NewTextHandler(t.Output(), nil)))
	must(t, err)
	must(t, next.Start(t.Context()))
	wantHolders(t, next, want)

	sh(t, "nft delete element inet runway_n1 published { 20000 } && nft add element inet runway_n1 published { 20000 : %s . 8080 }", r2.IP)
	wantHolders(t, next, map[uint16]string{20000: "r2", 20001: "r2"})
	_, err = next.Check(t.Context())
	must(t, err)
	wantHolders(t, next, want)
	must(t, next.Detach(t.Context(), "r2"))
	wantHolders(t, next, map[uint16]string{20000: "r1", 20001: ""})
}

func TestIdentity_OnlyIngressesAndTheMachineReachIt(t *testing.T) {
	if !inMachine(t) {
		return
	}
	const at = "192.168.7.1:7444"
	ingress, stranger := join(t, "ingress", 7), join(t, "stranger", 8)
	cfg := config(t, "n1", 1)
	cfg.NodeAddress, cfg.Identity = netip.MustParseAddr("192.168.7.1"), netip.MustParseAddrPort(at)
	n := start(t, cfg)
	serve(t, "", at, "agent")
	r1 := attach(t, n, "r1")
	wantDropped(t, ingress.path, at)
	allow(t, n, "192.168.7.2")
	wantAnswer(t, ingress.path, at, "agent from 192.168.7.2")
	wantAnswer(t, "", at, "agent from 192.168.7.1")
	before := denied(t, n, "identity")
	wantDropped(t, stranger.path, at)
	wantDropped(t, r1.NetNSPath, at)
	if denied(t, n, "identity") == before {
		t.Error("what a stranger sent is not counted")
	}
	allow(t, n)
	wantDropped(t, ingress.path, at)
	wantNoDrift(t, n)
}
