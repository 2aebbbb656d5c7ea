// Package doctortest is a machine that tests make ill.
package doctortest

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing/fstest"

	"github.com/runway-platform/runway/cli/doctor"
)

// Machine is a machine of prepared parts.
type Machine struct {
	Files fstest.MapFS
	// Says is what the programs that are installed say, by their command line.
	Says map[string]string
	// Silent programs fail.
	Silent map[string]bool
	// Sockets that answer.
	Sockets map[string]bool
	// User looks at it without being root.
	User bool
}

// Healthy is a node that lacks nothing, with cgroup v2.
func Healthy() *Machine {
	m := &Machine{
		Files: fstest.MapFS{},
		Says: map[string]string{
			"containerd --version":    "containerd github.com/containerd/containerd/v2 2.3.2 abcdef\n",
			"containerd-shim-runc-v2": "",
			"runc --version":          "runc version 1.3.6\ncommit: v1.3.6-0-gabc\nspec: 1.2.1\ngo: go1.26.1\n",
			"nft --version":           "nftables v1.0.6 (Lester Gooch #5)\n",
			"nft list tables":         "table inet runway\n",
		},
		Silent:  map[string]bool{},
		Sockets: map[string]bool{"/run/containerd/containerd.sock": true},
	}
	m.Write("proc/sys/kernel/osrelease", "6.1.0-28-amd64\n")
	m.Write("sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory hugetlb pids rdma misc\n")
	m.Write("lib/modules/6.1.0-28-amd64/kernel/fs/overlayfs/overlay.ko.xz", "")
	m.Write("lib/modules/6.1.0-28-amd64/modules.builtin", "kernel/net/bridge/bridge.ko\n")
	for _, name := range []string{"proc/self/ns/net", "proc/self/ns/pid", "proc/sys/kernel/seccomp", "usr/lib/cni/bridge", "usr/lib/cni/host-local"} {
		m.Write(name, "")
	}
	return m
}

// Write makes a file.
func (m *Machine) Write(name, text string) { m.Files[name] = &fstest.MapFile{Data: []byte(text)} }

// Machine is what doctor looks at.
func (m *Machine) Machine() doctor.Machine {
	return doctor.Machine{
		Files: m.Files, Root: !m.User,
		Look:    m.look,
		Run:     m.run,
		Answers: func(_ context.Context, socket string) bool { return m.Sockets[socket] },
	}
}

func (m *Machine) look(program string) (string, error) {
	for line := range m.Says {
		if line == program || strings.HasPrefix(line, program+" ") {
			return "/usr/sbin/" + program, nil
		}
	}
	return "", exec.ErrNotFound
}

func (m *Machine) run(ctx context.Context, path string, args ...string) (string, error) {
	line := strings.Join(append([]string{strings.TrimPrefix(path, "/usr/sbin/")}, args...), " ")
	if err := ctx.Err(); err != nil {
		return "", err
	}
	said, ok := m.Says[line]
	if !ok || m.Silent[line] {
		return said, fmt.Errorf("run %q: exit status 1", line)
	}
	return said, nil
}
