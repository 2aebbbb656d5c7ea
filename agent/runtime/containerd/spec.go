package containerd

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	client "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/runway-platform/runway/agent/runtime"
)

// cpuPeriod is the kernel's default slice, in microseconds. A shorter one throttles sooner and costs more.
const cpuPeriod = 100_000

// minCPUQuota is the smallest quota the kernel takes, in microseconds.
const minCPUQuota = 1000

// specOptions says, in order, how the container differs from the client library's default.
func (r *Runtime) specOptions(spec runtime.ContainerSpec, image client.Image) []oci.SpecOpts {
	options := []oci.SpecOpts{
		r.withImage(image, spec.Args), // command, environment, folder, user
		withCommand(spec),
		oci.WithEnv(spec.Env),
		oci.WithHostname(spec.Hostname),
		oci.WithoutRunMount, // the image's own /run, as docker and nerdctl have it
		withFiles(spec),
		withNetwork(spec.NetNSPath),
		oci.WithCgroup(path.Join(r.config.CgroupParent, string(spec.ID))),
		withOwnCgroupView,
	}
	options = append(options, r.limits(spec.Resources)...)
	return append(options, r.isolation(spec)...)
}

// withCommand lets the request replace the entrypoint, and refuses what cannot be run.
func withCommand(spec runtime.ContainerSpec) oci.SpecOpts {
	return func(_ context.Context, _ oci.Client, _ *containers.Container, s *oci.Spec) error {
		if len(spec.Command) > 0 {
			s.Process.Args = slices.Concat(spec.Command, spec.Args)
		}
		if len(s.Process.Args) == 0 {
			return errors.New("image has no entrypoint and no command was given")
		}
		return checkFolder(s)
	}
}

// checkFolder refuses a working folder that reaches the node through the low-level runtime's open files (CVE-2024-21626).
func checkFolder(s *oci.Spec) error {
	folder := path.Clean("/" + s.Process.Cwd)
	if folder == "/proc" || strings.HasPrefix(folder, "/proc/") {
		return fmt.Errorf("image has working folder %q: it must not lie in /proc", s.Process.Cwd)
	}
	s.Process.Cwd = folder
	return nil
}

// withFiles shows the replica's resolv.conf and hosts, read-only.
func withFiles(spec runtime.ContainerSpec) oci.SpecOpts {
	var mounts []specs.Mount
	show := func(source, destination string) {
		if source != "" {
			mounts = append(mounts, specs.Mount{
				Type: "bind", Source: source, Destination: destination,
				Options: []string{"rbind", "rprivate", "ro", "nosuid", "nodev", "noexec"},
			})
		}
	}
	show(spec.ResolvConfPath, "/etc/resolv.conf")
	show(spec.HostsPath, "/etc/hosts")
	return oci.WithMounts(mounts)
}

// withNetwork joins the replica's network namespace. Without one the default stays: a new namespace with nothing in it. Low
// ports are open to every user there, because a program that is not root cannot hold NET_BIND_SERVICE.
func withNetwork(netNSPath string) oci.SpecOpts {
	return func(ctx context.Context, c oci.Client, container *containers.Container, s *oci.Spec) error {
		s.Linux.Sysctl = map[string]string{"net.ipv4.ip_unprivileged_port_start": "0"}
		if netNSPath == "" {
			return nil
		}
		join := oci.WithLinuxNamespace(specs.LinuxNamespace{Type: specs.NetworkNamespace, Path: netNSPath})
		return join(ctx, c, container, s)
	}
}

// withOwnCgroupView shows the container its own limits, read-only and without the path above: language runtimes size their
// heaps and thread pools by them.
func withOwnCgroupView(ctx context.Context, c oci.Client, container *containers.Container, s *oci.Spec) error {
	s.Mounts = append(s.Mounts, specs.Mount{
		Type: "cgroup", Source: "cgroup", Destination: "/sys/fs/cgroup",
		Options: []string{"ro", "nosuid", "nodev", "noexec"},
	})
	own := oci.WithLinuxNamespace(specs.LinuxNamespace{Type: specs.CgroupNamespace})
	return own(ctx, c, container, s)
}

// limits are the cgroup settings.
func (r *Runtime) limits(resources runtime.Resources) []oci.SpecOpts {
	pids := resources.Pids
	if pids == 0 {
		pids = runtime.DefaultPids
	}
	options := []oci.SpecOpts{
		oci.WithMemoryLimit(uint64(resources.Memory)),
		oci.WithPidsLimit(pids),
		oci.WithCPUShares(cpuShares(resources.CPUReservation)),
	}
	if r.tree.SwapLimited() {
		options = append(options, oci.WithMemorySwap(int64(resources.Memory))) // memory plus swap: so no swap
	}
	if resources.CPULimit > 0 {
		options = append(options, oci.WithCPUCFS(cpuQuota(resources.CPULimit), cpuPeriod))
	}
	return options
}

func cpuQuota(limit runtime.MilliCPU) int64 {
	return max(minCPUQuota, int64(limit)*cpuPeriod/1000)
}

// cpuShares turns a reservation into a weight: 1024 is one processor, 2 the kernel's minimum.
func cpuShares(reservation runtime.MilliCPU) uint64 {
	return uint64(max(2, int64(reservation)*1024/1000))
}
