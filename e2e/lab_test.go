//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// The lab's network: hosts are network namespaces on one bridge, of which the test
// itself has the first address.
const (
	labBridge = "rwlab0"
	labTest   = "10.99.0.1"
	labPrefix = 24
)

// lab is a set of hosts on one machine, with a directory for all they keep.
type lab struct {
	t   testing.TB
	dir string
	*machinery
}

// machinery is what runs in a lab, whichever test looks at it.
type machinery struct {
	mu        sync.Mutex
	processes []*process
}

// in is the same lab, whose failures are those of another test: a helper that ended
// the parent of the subtest that it serves would take the other subtests with it.
func (l *lab) in(t testing.TB) *lab { return &lab{t: t, dir: l.dir, machinery: l.machinery} }

// newLab makes the bridge. When the test ends the processes are stopped, while their
// network is still there, and then everything is taken away; what they wrote is shown
// when it failed.
func newLab(t testing.TB) *lab {
	t.Helper()
	alone(t)
	dir, err := os.MkdirTemp("", labDirs) //nolint:usetesting // short: sockets live in it
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{t: t, dir: dir, machinery: &machinery{}}
	run(t, "ip", "link", "add", labBridge, "type", "bridge")
	run(t, "ip", "address", "add", fmt.Sprintf("%s/%d", labTest, labPrefix), "dev", labBridge)
	run(t, "ip", "link", "set", labBridge, "up")
	t.Cleanup(l.close)
	return l
}

func (l *lab) close() {
	l.mu.Lock()
	processes := l.processes
	l.mu.Unlock()
	for i := len(processes) - 1; i >= 0; i-- {
		processes[i].stop(l.t)
	}
	if l.t.Failed() {
		l.showLogs()
	}
	if left := leftProcesses(); len(left) > 0 && !l.t.Failed() {
		l.t.Errorf("processes %v outlive a test that went well", left)
	}
	if err := removeLeftovers(); err != nil {
		l.t.Errorf("remove the lab: %v", err)
	}
}

// showLogs prints the end of every process's output.
func (l *lab) showLogs() {
	files, _ := filepath.Glob(filepath.Join(l.dir, "*.log"))
	for _, file := range files {
		text, _ := os.ReadFile(file)
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		l.t.Logf("--- %s\n%s", filepath.Base(file), strings.Join(lines[max(0, len(lines)-40):], "\n"))
	}
}

// host is a machine of the lab: a network namespace with an address on the bridge.
type host struct {
	name    string
	address netip.Addr
}

// host makes a machine. last is the last number of its address.
func (l *lab) host(name string, last byte) host {
	l.t.Helper()
	h := host{name: labHosts + name, address: netip.AddrFrom4([4]byte{10, 99, 0, last})}
	inside, outside := "eth0", labLinks+name
	run(l.t, "ip", "netns", "add", h.name)
	run(l.t, "ip", "link", "add", outside, "type", "veth", "peer", "name", inside, "netns", h.name)
	run(l.t, "ip", "link", "set", outside, "master", labBridge, "up")
	run(l.t, "ip", "-n", h.name, "address", "add", fmt.Sprintf("%s/%d", h.address, labPrefix), "dev", inside)
	run(l.t, "ip", "-n", h.name, "link", "set", "lo", "up")
	run(l.t, "ip", "-n", h.name, "link", "set", inside, "up")
	run(l.t, "ip", "-n", h.name, "route", "add", "default", "via", labTest)
	return h
}

// at returns the host's address with a port.
func (h host) at(port uint16) string { return netip.AddrPortFrom(h.address, port).String() }

// command runs a program on the host. Only the network differs from the test's own
// machine: mounts must be seen by the container runtime.
func (h host) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "nsenter", append([]string{"--net=/run/netns/" + h.name, program}, args...)...)
}

// run runs a program to its end and fails the test when it fails.
func run(t testing.TB, program string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	output, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, output)
	}
	return string(output)
}

// eventually asks until there is no error, and fails the test with the last one.
func eventually(t testing.TB, most time.Duration, what string, ask func() error) {
	t.Helper()
	deadline := time.Now().Add(most)
	for {
		err := ask()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s: %v", what, most, err)
		}
		pause(20 * time.Millisecond)
	}
}

// pause is between two looks at something real that sends no news.
func pause(d time.Duration) { <-time.After(d) }
