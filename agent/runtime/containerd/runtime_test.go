package containerd

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/containerd/api/types/task"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/core/remotes/docker"
	remoteerrors "github.com/containerd/containerd/v2/core/remotes/errors"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/containerd/errdefs"
	"github.com/google/go-cmp/cmp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/opencontainers/runtime-spec/specs-go"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/runway-platform/runway/agent/runtime"
)

func TestClassify(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ err, want error }{
		{nil, nil},
		{status.Error(codes.NotFound, "no task"), runtime.ErrNotFound},
		{status.Error(codes.Unavailable, "connection refused"), runtime.ErrUnavailable},
		{status.Error(codes.DeadlineExceeded, "too late"), runtime.ErrUnavailable},
		{status.Error(codes.Canceled, "never mind"), context.Canceled},
		{status.Error(codes.Unknown, "OCI runtime create failed"), runtime.ErrRefused},
		{context.DeadlineExceeded, runtime.ErrUnavailable},
		{context.Canceled, context.Canceled},
		{errors.New("invalid USER value"), runtime.ErrRefused},
		{fmt.Errorf("kill cgroup: %w", runtime.ErrUnavailable), runtime.ErrUnavailable},
	} {
		if got := classify(row.err); !errors.Is(got, row.want) {
			t.Errorf("classify(%v): got %v, want %v", row.err, got, row.want)
		}
	}
}

func TestClassifyPull(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ err, want error }{
		{nil, nil},
		{fmt.Errorf("resolve: %w", errdefs.ErrNotFound), runtime.ErrImageNotFound},
		{remoteerrors.ErrUnexpectedStatus{StatusCode: http.StatusUnauthorized}, runtime.ErrImageDenied},
		{remoteerrors.ErrUnexpectedStatus{StatusCode: http.StatusForbidden}, runtime.ErrImageDenied},
		{remoteerrors.ErrUnexpectedStatus{StatusCode: http.StatusTooManyRequests}, runtime.ErrRegistryUnreachable},
		{remoteerrors.ErrUnexpectedStatus{StatusCode: http.StatusBadGateway}, runtime.ErrRegistryUnreachable},
		{docker.ErrInvalidAuthorization, runtime.ErrImageDenied},
		{fmt.Errorf("unexpected commit digest: %w", errdefs.ErrFailedPrecondition), runtime.ErrImageCorrupt},
		{errors.New("dial tcp: connection refused"), runtime.ErrRegistryUnreachable},
		{context.DeadlineExceeded, runtime.ErrRegistryUnreachable},
		{context.Canceled, context.Canceled},
		{fmt.Errorf("list images: %w", runtime.ErrUnavailable), runtime.ErrUnavailable},
	} {
		if got := classifyPull(row.err); !errors.Is(got, row.want) {
			t.Errorf("classifyPull(%v): got %v, want %v", row.err, got, row.want)
		}
	}
}

func TestConfig_Validate(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		config Config
		valid  bool
	}{
		{"defaults", Config{CgroupParent: "/runway/node-1"}, true},
		{"no parent", Config{}, false},
		{"root as parent", Config{CgroupParent: "/"}, false},
		{"parent that climbs", Config{CgroupParent: "/runway/../system.slice"}, false},
		{"relative parent", Config{CgroupParent: "runway"}, false},
		{"relative socket", Config{CgroupParent: "/runway", Address: "containerd.sock"}, false},
		{"socket as URL", Config{CgroupParent: "/runway", Address: "unix:///run/x.sock"}, true},
		{"relative state", Config{CgroupParent: "/runway", StateDir: "state"}, false},
	} {
		if err := row.config.Validate(); (err == nil) != row.valid {
			t.Errorf("%s: got %v, want valid %v", row.name, err, row.valid)
		}
	}
}

func TestMatchVariant(t *testing.T) {
	t.Parallel()
	of := func(architectures ...string) ocispec.Index {
		var index ocispec.Index
		for _, architecture := range architectures {
			index.Manifests = append(index.Manifests, ocispec.Descriptor{Platform: &ocispec.Platform{OS: "linux", Architecture: architecture}})
		}
		return index
	}
	for _, row := range []struct {
		name  string
		index ocispec.Index
		want  error
	}{
		{"all of them", of("s390x", "riscv64", "arm64", "amd64"), nil},
		{"none of ours", of("s390x", "riscv64"), runtime.ErrImagePlatform},
		{"empty", of(), runtime.ErrImagePlatform},
		{"unnamed", ocispec.Index{Manifests: []ocispec.Descriptor{{}}}, nil},
	} {
		if err := matchVariant(row.index); !errors.Is(err, row.want) {
			t.Errorf("%s: got %v, want %v", row.name, err, row.want)
		}
	}
}

func TestCredentialsFor_GoToOneHostOnly(t *testing.T) {
	t.Parallel()
	secret := runtime.Credentials{Username: "team", Password: "secret"}
	for _, row := range []struct {
		domain, host string
		given        bool
	}{
		{"registry.test", "registry.test", true},
		{"registry.test", "mirror.test", false},
		{"registry.test", "", false},
		{"docker.io", "registry-1.docker.io", true},
		{"registry.test", "registry-1.docker.io", false},
	} {
		user, password, err := credentialsFor(secret, row.domain)(row.host)
		if given := user == "team" && password == "secret"; err != nil || given != row.given {
			t.Errorf("credentials of %s asked by %q: got given %v, %v, want %v", row.domain, row.host, given, err, row.given)
		}
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		limit, reservation runtime.MilliCPU
		quota              int64
		shares             uint64
	}{
		{1000, 1000, 100_000, 1024},
		{250, 100, 25_000, 102},
		{1, 0, 1000, 2},
		{16_000, 10, 1_600_000, 10},
	} {
		if quota, shares := cpuQuota(row.limit), cpuShares(row.reservation); quota != row.quota || shares != row.shares {
			t.Errorf("limit %d, reservation %d: got quota %d, shares %d, want %d, %d", row.limit, row.reservation, quota, shares, row.quota, row.shares)
		}
	}
}

// The parts of the spec that need no image, as a low-level runtime would get them.
func TestSpec_Hardening(t *testing.T) {
	t.Parallel()
	r := newRuntime(t)
	spec := runtime.ContainerSpec{
		ID: "web-1", NetNSPath: "/run/netns/web", ResolvConfPath: "/etc/r", HostsPath: "/etc/h",
		Resources: runtime.Resources{Memory: 64 << 20}, Restricted: true,
	}
	options := append([]oci.SpecOpts{oci.WithoutRunMount, oci.WithUserID(0), withFiles(spec), withNetwork(spec.NetNSPath), withOwnCgroupView}, r.limits(spec.Resources)...)
	options[1] = func(_ context.Context, _ oci.Client, _ *containers.Container, s *oci.Spec) error {
		s.Process.User.UID = 1000
		return nil
	}
	for i, option := range r.isolation(spec) {
		if i > 0 { // the first looks into the root filesystem
			options = append(options, option)
		}
	}
	ctx := namespaces.WithNamespace(t.Context(), "runway")
	s, err := oci.GenerateSpec(ctx, nil, &containers.Container{ID: "web-1"}, options...)
	if err != nil {
		t.Fatal(err)
	}
	if !s.Process.NoNewPrivileges || s.Linux.Seccomp.DefaultAction != specs.ActErrno || len(s.Linux.Seccomp.Architectures) != 0 {
		t.Errorf("no_new_privs %v, seccomp %v for %v: want on, errno, the native processor", s.Process.NoNewPrivileges, s.Linux.Seccomp.DefaultAction, s.Linux.Seccomp.Architectures)
	}
	if diff := cmp.Diff([]string{"CAP_NET_BIND_SERVICE"}, s.Process.Capabilities.Bounding); diff != "" {
		t.Errorf("capabilities (-want +got):\n%s", diff)
	}
	if got := *s.Linux.Resources.Pids.Limit; got != runtime.DefaultPids {
		t.Errorf("pids: got %d, want %d", got, runtime.DefaultPids)
	}
	namespacesOf := map[specs.LinuxNamespaceType]string{}
	for _, ns := range s.Linux.Namespaces {
		namespacesOf[ns.Type] = ns.Path
	}
	want := map[specs.LinuxNamespaceType]string{"pid": "", "ipc": "", "uts": "", "mount": "", "network": "/run/netns/web", "cgroup": ""}
	if diff := cmp.Diff(want, namespacesOf); diff != "" {
		t.Errorf("namespaces (-want +got):\n%s", diff)
	}
	for _, m := range s.Mounts {
		if line := strings.Join(m.Options, ","); !strings.Contains(line, "nosuid") || m.Destination == "/run" || m.Type == "bind" && !strings.Contains(line, "ro,") {
			t.Errorf("mount %s: options %s", m.Destination, line)
		}
	}
}

func TestSpec_RestrictedRefusesRoot(t *testing.T) {
	t.Parallel()
	root, err := &oci.Spec{Process: &specs.Process{}}, error(nil)
	if err = withPolicy(true)(t.Context(), nil, nil, root); err == nil {
		t.Error("restricted root: got no error")
	}
	if err = withPolicy(false)(t.Context(), nil, nil, root); err != nil {
		t.Errorf("root where it is allowed: %v", err)
	}
}

func TestCheckRoot(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name  string
		make  func(root string) error
		valid bool
	}{
		{"empty", func(string) error { return nil }, true},
		{"folders", func(root string) error { return os.Mkdir(filepath.Join(root, "dev"), 0o755) }, true},
		{"link", func(root string) error { return os.Symlink("/", filepath.Join(root, "proc")) }, false},
		{"file", func(root string) error { return os.WriteFile(filepath.Join(root, "sys"), nil, 0o600) }, false},
	} {
		root := t.TempDir()
		if err := row.make(root); err != nil {
			t.Fatal(err)
		}
		if err := checkRoot(root); (err == nil) != row.valid {
			t.Errorf("%s: got %v, want valid %v", row.name, err, row.valid)
		}
	}
}

func TestState(t *testing.T) {
	t.Parallel()
	for process, want := range map[task.Status]runtime.State{
		task.Status_UNKNOWN: runtime.StateUnknown, task.Status_CREATED: runtime.StateCreated, task.Status_RUNNING: runtime.StateRunning,
		task.Status_STOPPED: runtime.StateExited, task.Status_PAUSED: runtime.StateRunning, task.Status_PAUSING: runtime.StateRunning,
	} {
		if got := state(&task.Process{Status: process}); got != want {
			t.Errorf("state of %v: got %s, want %s", process, got, want)
		}
	}
	if got := state(nil); got != runtime.StateUnknown {
		t.Errorf("state without a task: got %s, want %s", got, runtime.StateUnknown)
	}
}

func TestRuntime_IsShim(t *testing.T) {
	t.Parallel()
	r := newRuntime(t)
	shim := []string{"/usr/bin/containerd-shim-runc-v2", "-namespace", "runway", "-id", "web-1", "-address", r.config.Address}
	if !r.isShim(shim, "web-1") {
		t.Errorf("%q: not recognized", shim)
	}
	for at, other := range map[int]string{0: "/usr/bin/vi", 2: "moby", 4: "web-12", 6: "/run/other.sock"} {
		stranger := append([]string{}, shim...)
		stranger[at] = other
		if r.isShim(stranger, "web-1") {
			t.Errorf("%q: taken for our shim", stranger)
		}
	}
	if r.isShim(nil, "web-1") || r.isShim(shim[:5], "web-1") {
		t.Error("a cut-off command line is taken for our shim")
	}
}

func TestNerdctlLogPath_FollowsLinks(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	socket, link := filepath.Join(folder, "real.sock"), filepath.Join(folder, "link.sock")
	if err := errors.Join(os.WriteFile(socket, nil, 0o600), os.Symlink(socket, link)); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(socket))
	want := "/var/lib/nerdctl/" + hex.EncodeToString(sum[:4]) + "/containers/runway/web-1/web-1-json.log"
	for _, address := range []string{socket, link, "unix://" + socket} {
		if got, err := NerdctlLogPath("/var/lib/nerdctl", address, "runway", "web-1"); err != nil || got != want {
			t.Errorf("log path for %q: got %q, %v, want %q", address, got, err, want)
		}
	}
	if _, err := NerdctlLogPath("/var/lib/nerdctl", folder+"/none", "runway", "web-1"); !errors.Is(err, runtime.ErrUnavailable) {
		t.Errorf("log path without a socket: got %v, want %v", err, runtime.ErrUnavailable)
	}
}

// newRuntime returns a Runtime whose containerd does not exist; New must not mind.
func newRuntime(t *testing.T) *Runtime {
	t.Helper()
	r, err := New(Config{Address: filepath.Join(t.TempDir(), "none.sock"), CgroupParent: "/runway/test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}
