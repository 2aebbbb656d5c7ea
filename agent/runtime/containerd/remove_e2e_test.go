//go:build e2e

package containerd_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/containerd/containerd/v2/pkg/namespaces"

	"github.com/runway-platform/runway/agent/cgroup"
	"github.com/runway-platform/runway/agent/runtime"
	"github.com/runway-platform/runway/agent/runtime/containerd"
)

func TestRuntime_RemoveLeavesNothing(t *testing.T) {
	n := newNode(t)
	spec := n.spec(t, "last-1", "serve")
	n.run(t, spec)
	must(t, n.runtime.Delete(t.Context(), spec.ID))
	must(t, n.runtime.Remove(t.Context()))
	must(t, n.runtime.Remove(t.Context()))

	ctx := t.Context()
	c := n.client(t)
	names, err := c.NamespaceService().List(ctx)
	must(t, err)
	images, err := c.ImageService().List(namespaces.WithNamespace(ctx, namespace))
	must(t, err)
	if len(names) > 0 || len(images) > 0 {
		t.Errorf("left in containerd: namespaces %v, images %v", names, images)
	}
	if cgroup.Open().Group(n.parent).Exists() {
		t.Errorf("cgroup %q is left", n.parent)
	}
	for _, folder := range []string{n.path("nerdctl"), filepath.Join("/run/containerd/runc", namespace)} {
		if _, err := os.Stat(folder); !os.IsNotExist(err) {
			t.Errorf("folder %q: %v, want it gone", folder, err)
		}
	}
	if _, err := os.Stat("/run/containerd/runc"); err != nil {
		t.Errorf("the folder of all containerds of the machine: %v, want it left alone", err)
	}
}

// A node that is removed must not take its neighbour's images, logs and start times along.
func TestRuntime_RemoveSparesTheNeighbour(t *testing.T) {
	n := newNode(t)
	spec := n.spec(t, "stay-1", "serve")
	before := n.run(t, spec)
	config := n.config()
	config.CgroupParent += "-neighbour"
	neighbour, err := containerd.New(config)
	must(t, err)
	t.Cleanup(func() { _ = neighbour.Close() })
	must(t, neighbour.Remove(context.WithoutCancel(t.Context())))

	after := observe(t, n.runtime, spec.ID)
	if after.State != runtime.StateRunning || !after.StartedAt.Equal(before.StartedAt) {
		t.Errorf("container after its neighbour's removal: got %+v, want %+v", after, before)
	}
	if _, err := n.runtime.Pull(t.Context(), runtime.PullRequest{Ref: spec.Image}); err != nil {
		t.Errorf("pull after the neighbour's removal: %v", err)
	}
}
