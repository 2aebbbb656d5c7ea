package containerd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/containerd/containerd/v2/contrib/seccomp"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/runway-platform/runway/agent/runtime"
)

// openCapabilities are what ordinary images need that start as root and step down. Restricted containers keep the first one.
var openCapabilities = []string{
	"CAP_NET_BIND_SERVICE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_SETUID", "CAP_SETGID", "CAP_KILL",
}

var restrictedCapabilities = []string{"CAP_NET_BIND_SERVICE"}

// maxOpenFiles is enough for tens of thousands of connections, and small enough for old programs that close every possible
// descriptor when they start.
const maxOpenFiles = 65536

// oomScore makes the kernel prefer any container over the agent, containerd and the system when the whole node is short of
// memory. Among containers the largest goes first.
const oomScore = 500

// maskedInterrupts tells neighbours apart by their timing; the client library does not mask it yet.
const maskedInterrupts = "/proc/interrupts"

// isolation is what keeps the container from the node and its neighbours. It comes last, so that nothing undoes it.
func (r *Runtime) isolation(spec runtime.ContainerSpec) []oci.SpecOpts {
	capabilities := openCapabilities
	if spec.Restricted {
		capabilities = restrictedCapabilities
	}
	return []oci.SpecOpts{
		oci.WithNoNewPrivileges,
		oci.WithCapabilities(capabilities),
		withSeccomp,
		withHardening(r.nofile),
		withPolicy(spec.Restricted),
	}
}

// withSeccomp is the client library's profile, which follows the capabilities and so comes after them, for the processor's own
// system calls only. The 32-bit entrances are old attack surface that a web service does not use, and compiling the filter for
// them takes three quarters of the 20 ms that seccomp adds to a start.
func withSeccomp(_ context.Context, _ oci.Client, _ *containers.Container, s *oci.Spec) error {
	s.Linux.Seccomp = seccomp.DefaultProfile(s)
	s.Linux.Seccomp.Architectures = nil // empty means the native one; a call through any other kills the process
	return nil
}

// withSafeRoot refuses an image whose mount points for the kernel's file systems are links: older low-level runtimes follow
// them out of the container (CVE-2026-41579).
func withSafeRoot(ctx context.Context, c oci.Client, container *containers.Container, _ *oci.Spec) error {
	mounts, err := c.SnapshotService(container.Snapshotter).Mounts(ctx, container.SnapshotKey)
	if err != nil {
		return err
	}
	return mount.WithReadonlyTempMount(ctx, mounts, checkRoot)
}

func checkRoot(root string) error {
	for _, name := range []string{"dev", "proc", "sys"} {
		info, err := os.Lstat(filepath.Join(root, name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if !info.IsDir() {
			return fmt.Errorf("image has /%s as %v, want a folder", name, info.Mode().Type())
		}
	}
	return nil
}

func withHardening(nofile uint64) oci.SpecOpts {
	return func(_ context.Context, _ oci.Client, _ *containers.Container, s *oci.Spec) error {
		score := oomScore
		s.Process.OOMScoreAdj = &score
		s.Process.Rlimits = []specs.POSIXRlimit{
			{Type: "RLIMIT_NOFILE", Soft: nofile, Hard: nofile},
			{Type: "RLIMIT_CORE"},
		}
		s.Linux.MaskedPaths = append(s.Linux.MaskedPaths, maskedInterrupts)
		for i := range s.Mounts {
			if s.Mounts[i].Destination == "/dev" {
				s.Mounts[i].Options = append(s.Mounts[i].Options, "noexec")
			}
		}
		return nil
	}
}

// withPolicy refuses root where the space forbids it. The user is known only now, from the image's own user table.
func withPolicy(restricted bool) oci.SpecOpts {
	return func(_ context.Context, _ oci.Client, _ *containers.Container, s *oci.Spec) error {
		if restricted && s.Process.User.UID == 0 {
			return errors.New("image runs as root, which the space's restricted policy forbids: set a USER other than root")
		}
		return nil
	}
}

// fileLimit is the limit of open files for containers: not above our own hard limit, which containerd has too and cannot
// raise without CAP_SYS_RESOURCE.
func fileLimit() (uint64, error) {
	var own unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &own); err != nil {
		return 0, err
	}
	return min(maxOpenFiles, own.Max), nil
}
