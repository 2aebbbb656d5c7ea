//go:build e2e

package network_test

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/runway-platform/runway/agent/network"
)

// nodeWithReplica returns a node whose ports are reachable from the peers of the lab, with one replica r1 published on 20000.
func nodeWithReplica(t *testing.T) (*network.Network, network.Attachment) {
	t.Helper()
	cfg := config(t, "n1", 1)
	cfg.NodeAddress = netip.MustParseAddr("192.168.7.1")
	n := start(t, cfg)
	r1 := attach(t, n, "r1")
	serve(t, r1.NetNSPath, ":8080", "r1")
	publish(t, n, map[uint16]network.Attachment{20000: r1})
	return n, r1
}

func publish(t *testing.T, n *network.Network, ports map[uint16]network.Attachment) {
	t.Helper()
	to := make(map[uint16]netip.AddrPort)
	for port, a := range ports {
		to[port] = netip.AddrPortFrom(a.IP, 8080)
	}
	must(t, n.Publish(t.Context(), to))
}

func allow(t *testing.T, n *network.Network, addrs ...string) {
	t.Helper()
	var parsed []netip.Addr
	for _, a := range addrs {
		parsed = append(parsed, netip.MustParseAddr(a))
	}
	must(t, n.AllowIngress(t.Context(), parsed))
}

func denied(t *testing.T, n *network.Network, reason string) uint64 {
	t.Helper()
	counts, err := n.Denied(t.Context())
	must(t, err)
	return counts[reason]
}

func TestNodePort_OnlyIngressesAndTheMachineReachIt(t *testing.T) {
	if !inMachine(t) {
		return
	}
	ingress, stranger := join(t, "ingress", 7), join(t, "stranger", 8)
	n, r1 := nodeWithReplica(t)
	allow(t, n, "192.168.7.2")
	wantAnswer(t, ingress.path, "192.168.7.1:20000", "r1 from 192.168.7.2")
	wantAnswer(t, "", "192.168.7.1:20000", "r1 from 192.168.7.1")
	before := denied(t, n, "source")
	wantDropped(t, stranger.path, "192.168.7.1:20000")
	wantDropped(t, stranger.path, r1.IP.String()+":8080")
	wantDropped(t, ingress.path, r1.IP.String()+":8080") // node ports are the only way in
	if after := denied(t, n, "source"); after < before+3 {
		t.Errorf("denied source: got %d more, want at least 3", after-before)
	}
	if _, err := ask(t, ingress.path, "192.168.7.1:20001", deniedAfter); err == nil {
		t.Error("a port that is not published answers")
	}
}

func TestNodePort_WithdrawnIngressIsCutOff(t *testing.T) {
	if !inMachine(t) {
		return
	}
	ingress := join(t, "ingress", 7)
	n, _ := nodeWithReplica(t)
	allow(t, n, "192.168.7.2")
	conn, err := dial(t, ingress.path, "tcp4", "192.168.7.1:20000", answerWithin)
	must(t, err)
	defer conn.Close()
	mustEcho(t, conn)
	allow(t, n)
	if err := echo(conn, deniedAfter); err == nil {
		t.Error("an open connection of a withdrawn ingress still carries data")
	}
	wantDropped(t, ingress.path, "192.168.7.1:20000")
}

// echo sends a line and waits for it to come back.
func echo(conn net.Conn, within time.Duration) error {
	_ = conn.SetDeadline(time.Now().Add(within))
	if _, err := conn.Write([]byte("ping\n")); err != nil {
		return err
	}
	buf := make([]byte, 256)
	var got strings.Builder
	for !strings.HasSuffix(got.String(), "ping\n") {
		n, err := conn.Read(buf)
		if err != nil {
			return err
		}
		got.Write(buf[:n])
	}
	return nil
}

func mustEcho(t *testing.T, conn net.Conn) {
	t.Helper()
	must(t, echo(conn, answerWithin))
}

func TestNodePort_MovesToAnotherReplicaAtOnce(t *testing.T) {
	if !inMachine(t) {
		return
	}
	ingress := join(t, "ingress", 7)
	n, r1 := nodeWithReplica(t)
	r2 := attach(t, n, "r2")
	serve(t, r2.NetNSPath, ":8080", "r2")
	allow(t, n, "192.168.7.2")
	publish(t, n, map[uint16]network.Attachment{20000: r1, 20001: r2})
	moved, err := dial(t, ingress.path, "tcp4", "192.168.7.1:20000", answerWithin)
	must(t, err)
	defer moved.Close()
	kept, err := dial(t, ingress.path, "tcp4", "192.168.7.1:20001", answerWithin)
	must(t, err)
	defer kept.Close()
	mustEcho(t, moved)
	mustEcho(t, kept)

	publish(t, n, map[uint16]network.Attachment{20000: r2, 20001: r2})
	wantAnswer(t, ingress.path, "192.168.7.1:20000", "r2 from 192.168.7.2")
	if err := echo(moved, deniedAfter); err == nil {
		t.Error("the old connection still reaches the old replica")
	}
	mustEcho(t, kept)
}

func TestNodePort_TakenByAProcess(t *testing.T) {
	if !inMachine(t) {
		return
	}
	n := start(t, config(t, "n1", 1))
	serve(t, "", "0.0.0.0:20000", "stranger")
	for port, want := range map[uint16]bool{20000: true, 20001: false} {
		if got, err := n.Taken(t.Context(), port); err != nil || got != want {
			t.Errorf("taken %d: got %v, %v; want %v", port, got, err, want)
		}
	}
}

func TestNodePort_BesideDroppingForwardChain(t *testing.T) {
	if !inMachine(t) {
		return
	}
	ingress := join(t, "ingress", 7)
	n, r1 := nodeWithReplica(t)
	allow(t, n, "192.168.7.2")
	serve(t, ingress.path, ":9000", "outside")
	sh(t, "iptables -P FORWARD DROP; iptables -A FORWARD -j DROP")
	wantDropped(t, ingress.path, "192.168.7.1:20000")
	drifts, err := n.Check(t.Context())
	must(t, err)
	if len(drifts) != 1 || drifts[0].Part != "foreign" {
		t.Errorf("check: got %v, want one foreign drift", drifts)
	}
	wantAnswer(t, ingress.path, "192.168.7.1:20000", "r1 from 192.168.7.2")
	wantAnswer(t, r1.NetNSPath, "192.168.7.2:9000", "outside from 192.168.7.1")
	if rules := sh(t, "iptables -S FORWARD"); strings.Count(rules, "rw-n1 -j ACCEPT") != 2 {
		t.Errorf("iptables shows\n%s\nwant two accepts of rw-n1", rules)
	}
	wantNoDrift(t, n)
}

func wantNoDrift(t *testing.T, n *network.Network) {
	t.Helper()
	drifts, err := n.Check(t.Context())
	if err != nil || len(drifts) > 0 {
		t.Errorf("check: got %v, %v; want nothing to repair", drifts, err)
	}
}

func TestReplica_ReachesTheWorldWithTheNodesAddress(t *testing.T) {
	if !inMachine(t) {
		return
	}
	outside := join(t, "outside", 7)
	_, r1 := nodeWithReplica(t)
	serve(t, outside.path, ":9000", "outside")
	wantAnswer(t, r1.NetNSPath, "192.168.7.2:9000", "outside from 192.168.7.1")
}

func TestReplica_ReachesNothingElse(t *testing.T) {
	if !inMachine(t) {
		return
	}
	outside := join(t, "nodes", 9)
	cfg := config(t, "n1", 1)
	cfg.DenyEgress = []netip.Prefix{netip.MustParsePrefix("192.168.9.0/24")}
	n := start(t, cfg)
	r1, r2 := attach(t, n, "r1"), attach(t, n, "r2")
	other := start(t, config(t, "n2", 2))
	r3 := attach(t, other, "r3")
	for _, a := range []network.Attachment{r2, r3} {
		serve(t, a.NetNSPath, ":8080", a.ReplicaID)
	}
	publish(t, n, map[uint16]network.Attachment{20000: r2})
	publish(t, other, map[uint16]network.Attachment{20000: r3})
	allow(t, other, r1.IP.String()) // not even by mistake: the own node's rules come first
	serve(t, outside.path, ":8080", "coordinator")
	sh(t, "ip addr add 169.254.169.254/32 dev lo; ip addr add 192.168.50.1/32 dev lo; sysctl -qw net.ipv4.conf.rw-n1.route_localnet=1")
	serve(t, "", ":7070", "host")

	tests := []struct{ name, addr, reason string }{
		{"replica beside it", r2.IP.String() + ":8080", ""},
		{"replica of another bridge", r3.IP.String() + ":8080", "egress"},
		{"node port of its node", "10.64.1.1:20000", "node"},
		{"node port of another node", "10.64.2.1:20000", "egress"},
		{"gateway", "10.64.1.1:7070", "node"},
		{"another address of the machine", "192.168.50.1:7070", "node"},
		{"gateway port without redirect", "10.64.1.1:80", "node"},
		{"metadata", "169.254.169.254:7070", "metadata"},
		{"denied network", "192.168.9.2:8080", "egress"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			before := denied(t, n, test.reason)
			wantDropped(t, r1.NetNSPath, test.addr)
			if after := denied(t, n, test.reason); test.reason != "" && after == before {
				t.Errorf("denied %s: got no more than %d", test.reason, before)
			}
		})
	}
	t.Run("loopback of the machine", func(t *testing.T) {
		sh(t, "nsenter --net=%s sh -c 'ip addr del 127.0.0.1/8 dev lo; ip route add 127.0.0.1 via 10.64.1.1'", r1.NetNSPath)
		before := denied(t, n, "node")
		wantDropped(t, r1.NetNSPath, "127.0.0.1:7070")
		if denied(t, n, "node") == before {
			t.Error("not counted")
		}
	})
	t.Run("stolen source address", func(t *testing.T) {
		sh(t, "nsenter --net=%s ip addr add 10.99.0.9/32 dev eth0", r1.NetNSPath)
		before := denied(t, n, "spoof")
		err := in(t, r1.NetNSPath, func() error {
			d := net.Dialer{Timeout: deniedAfter, LocalAddr: &net.TCPAddr{IP: net.IPv4(10, 99, 0, 9)}}
			_, err := d.Dial("tcp4", "192.168.50.1:7070")
			return err
		})
		if err == nil || denied(t, n, "spoof") == before {
			t.Errorf("got %v, want a counted drop", err)
		}
	})
}

func TestReplica_IsIsolatedEvenWithoutRules(t *testing.T) {
	if !inMachine(t) {
		return
	}
	cloud := join(t, "cloud", 5)
	sh(t, "ip -n cloud addr add 169.254.169.254/32 dev eth0; ip route add 169.254.169.254 via 192.168.5.2")
	serve(t, cloud.path, "169.254.169.254:80", "metadata")
	wantAnswer(t, "", "169.254.169.254:80", "metadata from 192.168.5.1")
	n, other := start(t, config(t, "n1", 1)), start(t, config(t, "n2", 2))
	r1, r2, r3 := attach(t, n, "r1"), attach(t, n, "r2"), attach(t, other, "r3")
	serve(t, r2.NetNSPath, ":8080", "r2")
	serve(t, r3.NetNSPath, ":8080", "r3")
	sh(t, "nft flush ruleset")
	wantDropped(t, r1.NetNSPath, r2.IP.String()+":8080")
	wantDropped(t, r1.NetNSPath, r3.IP.String()+":8080")
	wantDropped(t, r1.NetNSPath, "169.254.169.254:80")
}

func TestCheck_RepairsInOneCall(t *testing.T) {
	if !inMachine(t) {
		return
	}
	ingress := join(t, "ingress", 7)
	n, r1 := nodeWithReplica(t)
	allow(t, n, "192.168.7.2")
	veth := strings.TrimSpace(sh(t, "ip -o link show master rw-n1 | sed 's/^[0-9]*: //; s/@.*//'"))
	tests := []struct{ name, damage, part string }{
		{"ruleset flushed", "nft flush ruleset", "rules"},
		{"table emptied", "nft flush table inet runway_n1", "rules"},
		{"rule added", "nft insert rule inet runway_n1 enter accept", "rules"},
		{"port unpublished by hand", "nft flush map inet runway_n1 published", "elements"},
		{"ingress set flushed", "nft flush set inet runway_n1 ingress", "elements"},
		{"main routes flushed", "ip route flush table main; ip route add 192.168.7.0/24 dev up7", "route"},
		{"address removed", "ip addr flush dev rw-n1", "address"},
		{"bridge down", "ip link set rw-n1 down", "bridge"},
		{"bridge removed", "ip link del rw-n1", "bridge"},
		{"bridge MTU changed", "ip link set rw-n1 mtu 1400", "bridge"},
		{"forwarding off", "sysctl -qw net.ipv4.ip_forward=0", "sysctl"},
		{"routing rules flushed", "ip rule flush; ip rule add table main pref 32766", "barrier"},
		{"port not isolated", "bridge link set dev " + veth + " isolated off", "port"},
		{"port off the bridge", "ip link set " + veth + " nomaster", "port"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			sh(t, "%s", test.damage)
			drifts, err := n.Check(t.Context())
			must(t, err)
			if !hasPart(drifts, test.part) {
				t.Errorf("check: got %v, want a drift of %s", drifts, test.part)
			}
			wantAnswer(t, ingress.path, "192.168.7.1:20000", "r1 from 192.168.7.2")
			wantNoDrift(t, n)
		})
	}
	if got := attach(t, n, "r1"); got != r1 {
		t.Errorf("attach after all that: got %+v, want %+v", got, r1)
	}
}

func hasPart(drifts []network.Drift, part string) bool {
	for _, d := range drifts {
		if d.Part == part {
			return true
		}
	}
	return false
}

func TestTwoNodesOnOneMachine(t *testing.T) {
	if !inMachine(t) {
		return
	}
	for i := 1; i <= 2; i++ {
		n := start(t, config(t, fmt.Sprintf("n%d", i), i))
		r := attach(t, n, "same-id")
		serve(t, r.NetNSPath, ":8080", fmt.Sprintf("replica of n%d", i))
		publish(t, n, map[uint16]network.Attachment{20000: r})
	}
	for i := 1; i <= 2; i++ {
		wantAnswer(t, "", fmt.Sprintf("10.64.%d.1:20000", i), fmt.Sprintf("replica of n%d from 10.64.%d.1", i, i))
	}
}

func TestRedirect(t *testing.T) {
	if !inMachine(t) {
		return
	}
	remote := join(t, "ingress", 7)
	sh(t, "iptables -P INPUT DROP; iptables -A INPUT -i up7 -j ACCEPT; iptables -A INPUT -i lo -j ACCEPT") // as ufw leaves it
	n, r1 := nodeWithReplica(t)
	serve(t, "", "127.0.0.1:8443", "local https")
	serve(t, "", "127.0.0.1:8081", "local http")
	serve(t, "", "127.0.0.1:5353", "local dns")
	serveUDP(t, "", "127.0.0.1:5353", "local dns")
	serveUDP(t, remote.path, "192.168.7.2:53", "remote dns")
	serve(t, "", "127.0.0.1:7070", "private")
	must(t, n.Redirect(t.Context(), network.Internal{
		DNS:   netip.MustParseAddrPort("127.0.0.1:5353"),
		HTTP:  netip.MustParseAddrPort("127.0.0.1:8081"),
		HTTPS: netip.MustParseAddrPort("127.0.0.1:8443"),
	}))
	wantAnswer(t, r1.NetNSPath, "10.64.1.1:80", "local http from 10.64.1.2")
	wantAnswer(t, r1.NetNSPath, "10.64.1.1:443", "local https from 10.64.1.2")
	wantAnswer(t, r1.NetNSPath, "10.64.1.1:53", "local dns from 10.64.1.2")
	query, err := dial(t, r1.NetNSPath, "udp4", "10.64.1.1:53", answerWithin)
	must(t, err)
	defer query.Close()
	wantReply(t, query, "local dns")
	wantDropped(t, r1.NetNSPath, "10.64.1.1:7070")

	must(t, n.Redirect(t.Context(), network.Internal{DNS: netip.MustParseAddrPort("192.168.7.2:53")}))
	wantReply(t, query, "remote dns") // the same socket: its next query goes to the new ingress
	wantDropped(t, r1.NetNSPath, "10.64.1.1:80")
	if got, err := os.ReadFile("/proc/sys/net/ipv4/conf/rw-n1/route_localnet"); err != nil || string(got) != "0\n" {
		t.Errorf("route_localnet without a loopback target: got %q, %v; want 0", got, err)
	}
	wantNoDrift(t, n)
}

func wantReply(t *testing.T, conn net.Conn, want string) {
	t.Helper()
	_ = conn.SetDeadline(time.Now().Add(answerWithin))
	_, err := conn.Write([]byte("?"))
	must(t, err)
	buf := make([]byte, 64)
	got, err := conn.Read(buf)
	if err != nil || string(buf[:got]) != want {
		t.Fatalf("got %q, %v; want %q", buf[:got], err, want)
	}
}
