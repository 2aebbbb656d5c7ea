//go:build e2e

package network_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netns"

	"github.com/runway-platform/runway/agent/network"
)

// insideEnv marks the copy of the test binary that runs inside namespaces of its own.
const insideEnv = "RUNWAY_NETWORK_TEST_INSIDE"

// inMachine runs the calling test in a child process with network and mount namespaces of its own, so that nothing it does
// reaches the machine and nothing of the machine, an ip_forward of 1 or a Docker, reaches it. It returns true in the child.
func inMachine(t testing.TB) bool {
	t.Helper()
	if os.Getenv(insideEnv) != "" {
		must(t, syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""))
		must(t, syscall.Mount("sysfs", "/sys", "sysfs", 0, ""))
		sh(t, "ip link set lo up")
		return true
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	args := []string{"-test.run=^" + t.Name() + "$", "-test.v", "-test.count=1"}
	if _, ok := t.(*testing.B); ok {
		args = []string{"-test.run=^$", "-test.bench=^" + t.Name() + "$", "-test.benchtime=" + benchTime()}
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), insideEnv+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	t.Logf("inside:\n%s", out)
	if err != nil {
		t.Fatalf("inside: %v", err)
	}
	if _, ok := t.(*testing.B); ok {
		fmt.Print(string(out)) // the child's figures; those of this process mean nothing
		t.SkipNow()
	}
	return false
}

// config is a node on a machine of the lab. Node i of a machine has 10.64.i.0/24.
func config(t testing.TB, node string, i int) network.Config {
	t.Helper()
	dir := t.TempDir()
	return network.Config{
		Node:           node,
		Subnet:         netip.MustParsePrefix(fmt.Sprintf("10.64.%d.0/24", i)),
		ReplicaNetwork: netip.MustParsePrefix("10.64.0.0/16"),
		StateDir:       filepath.Join(dir, "state"),
		RunDir:         filepath.Join(dir, "run"),
	}
}

// start returns a started network that is torn down with the test.
func start(t testing.TB, cfg network.Config) *network.Network {
	t.Helper()
	n, err := network.New(cfg, slog.New(slog.NewTextHandler(t.Output(), nil)))
	must(t, err)
	must(t, n.Start(t.Context()))
	t.Cleanup(func() {
		if err := n.Teardown(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("teardown: %v", err)
		}
	})
	return n
}

func attach(t testing.TB, n *network.Network, replicaID string) network.Attachment {
	t.Helper()
	a, err := n.Attach(t.Context(), replicaID)
	must(t, err)
	return a
}

// peer is a network namespace joined to the machine by a veth pair: another machine, seen from the node.
type peer struct{ path string }

// join makes a peer with the address 192.168.<i>.2/24; the machine has .1. The peer routes everything to the machine.
func join(t testing.TB, name string, i int) peer {
	t.Helper()
	sh(t, "mkdir -p /run/netns")
	sh(t, "ip netns add %s", name)
	t.Cleanup(func() { sh(t, "ip netns del %s", name) })
	sh(t, "ip link add up%d type veth peer name eth0 netns %s", i, name)
	sh(t, "ip addr add 192.168.%d.1/24 dev up%d && ip link set up%d up", i, i, i)
	sh(t, "ip -n %s link set lo up && ip -n %s addr add 192.168.%d.2/24 dev eth0 && ip -n %s link set eth0 up", name, name, i, name)
	sh(t, "ip -n %s route add default via 192.168.%d.1", name, i)
	return peer{"/run/netns/" + name}
}

// in runs f on a thread inside a namespace; "" is the machine itself. Sockets that f opens belong to that namespace.
func in(t testing.TB, path string, f func() error) error {
	t.Helper()
	if path == "" {
		return f()
	}
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		ns, err := netns.GetFromPath(path)
		if err == nil {
			defer ns.Close()
			err = netns.Set(ns)
		}
		if err == nil {
			err = f()
		}
		done <- err
	}()
	return <-done
}

// serve answers every TCP connection to addr in a namespace with name and the caller's address, and keeps it open.
func serve(t testing.TB, path, addr, name string) {
	t.Helper()
	var l net.Listener
	must(t, in(t, path, func() (err error) { l, err = net.Listen("tcp4", addr); return err }))
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				// The other end asserts what it reads.
				_, _ = fmt.Fprintf(conn, "%s from %s\n", name, conn.RemoteAddr().(*net.TCPAddr).IP)
				_, _ = io.Copy(conn, conn)
			}()
		}
	}()
}

// serveUDP answers every datagram to addr with name.
func serveUDP(t testing.TB, path, addr, name string) {
	t.Helper()
	var c net.PacketConn
	must(t, in(t, path, func() (err error) { c, err = net.ListenPacket("udp4", addr); return err }))
	t.Cleanup(func() { c.Close() })
	go func() {
		buf := make([]byte, 512)
		for {
			_, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = c.WriteTo([]byte(name), from)
		}
	}()
}

const (
	// deniedAfter is how long a connection must stay unanswered to count as dropped; one that is allowed takes under 1 ms on an
	// idle machine.
	deniedAfter = 400 * time.Millisecond
	// answerWithin is for connections that must succeed, on a machine that is busy with other tests.
	answerWithin = 5 * time.Second
)

// ask connects from a namespace and returns the line it is greeted with.
func ask(t testing.TB, path, addr string, within time.Duration) (string, error) {
	t.Helper()
	conn, err := dial(t, path, "tcp4", addr, within)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(within))
	line, err := bufio.NewReader(conn).ReadString('\n')
	return strings.TrimSpace(line), err
}

func dial(t testing.TB, path, network, addr string, within time.Duration) (conn net.Conn, err error) {
	t.Helper()
	err = in(t, path, func() error { conn, err = net.DialTimeout(network, addr, within); return err })
	return conn, err
}

func wantAnswer(t testing.TB, path, addr, want string) {
	t.Helper()
	got, err := ask(t, path, addr, answerWithin)
	if err != nil || got != want {
		t.Fatalf("connect to %s: got %q, %v; want %q", addr, got, err, want)
	}
}

// wantDropped wants silence or, from the routing rules, "no route": never an answer and never a refusal by a live machine.
func wantDropped(t testing.TB, path, addr string) {
	t.Helper()
	got, err := ask(t, path, addr, deniedAfter)
	if err == nil || errors.Is(err, syscall.ECONNREFUSED) {
		t.Fatalf("connect to %s: got %q, %v; want a drop", addr, got, err)
	}
}

func sh(t testing.TB, format string, args ...any) string {
	t.Helper()
	command := fmt.Sprintf(format, args...)
	out, err := exec.Command("sh", "-ec", command).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return string(out)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
