//go:build e2e

package containerd_test

import (
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	client "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/pkg/oci"

	"github.com/runway-platform/runway/agent/runtime"
)

// BenchmarkRuntime_Steps takes one container through its life and reports each step's time.
func BenchmarkRuntime_Steps(b *testing.B) {
	n := newNode(b)
	spec := n.spec(b, "step-0", "serve")
	took := map[string]time.Duration{}
	measure := func(step string, do func() error) {
		begun := time.Now()
		must(b, do())
		took[step] += time.Since(begun)
	}
	i := 0
	for b.Loop() {
		i++
		spec.ID = runtime.NewContainerID("step", i)
		measure("pull", func() error {
			_, err := n.runtime.Pull(b.Context(), runtime.PullRequest{Ref: spec.Image})
			return err
		})
		measure("create", func() error { return n.runtime.Create(b.Context(), spec) })
		measure("start", func() error { return n.runtime.Start(b.Context(), spec.ID) })
		measure("list", func() error { _, err := n.runtime.List(b.Context()); return err })
		measure("stats", func() error { _, err := n.runtime.Stats(b.Context(), spec.ID); return err })
		measure("delete", func() error { return n.runtime.Delete(b.Context(), spec.ID) })
	}
	for step, total := range took {
		b.ReportMetric(float64(total.Microseconds())/1000/float64(i), step+"-ms")
	}
}

// BenchmarkRuntime_Forty creates and starts 40 containers side by side, and lists them.
func BenchmarkRuntime_Forty(b *testing.B) {
	const count = 40
	n := newNode(b)
	template := n.spec(b, "many-0", "serve")
	var creating, listing, deleting time.Duration
	rounds := 0
	for b.Loop() {
		rounds++
		creating += timed(func() {
			together(count, func(i int) {
				spec := template
				spec.ID = runtime.ContainerID(fmt.Sprintf("many-%d-%d", rounds, i))
				must(b, n.runtime.Create(b.Context(), spec))
				must(b, n.runtime.Start(b.Context(), spec.ID))
			})
		})
		var all []runtime.Container
		listing += timed(func() {
			var err error
			all, err = n.runtime.List(b.Context())
			must(b, err)
		})
		deleting += timed(func() {
			together(len(all), func(i int) { must(b, n.runtime.Delete(b.Context(), all[i].ID)) })
		})
	}
	for name, total := range map[string]time.Duration{"create-start-40-ms": creating, "list-40-ms": listing, "delete-40-ms": deleting} {
		b.ReportMetric(float64(total.Milliseconds())/float64(rounds), name)
	}
}

func timed(do func()) time.Duration {
	begun := time.Now()
	do()
	return time.Since(begun)
}

func together(count int, do func(i int)) {
	var group sync.WaitGroup
	for i := range count {
		group.Go(func() { do(i) })
	}
	group.Wait()
}

// BenchmarkFloor_Steps is the floor for BenchmarkRuntime_Steps: the bare client library with its default spec, no limits, no
// seccomp, no labels.
func BenchmarkFloor_Steps(b *testing.B) {
	n := newNode(b)
	spec := n.spec(b, "floor-0", "serve")
	c := n.client(b)
	ctx := namespaces.WithNamespace(b.Context(), namespace)
	image, err := c.GetImage(ctx, spec.Image)
	must(b, err)
	var creating, starting, deleting time.Duration
	rounds := 0
	for b.Loop() {
		rounds++
		id := fmt.Sprintf("floor-%d", rounds)
		var task client.Task
		var container client.Container
		creating += timed(func() {
			container, err = c.NewContainer(ctx, id, client.WithSnapshotter("overlayfs"), client.WithNewSnapshot(id, image),
				client.WithNewSpec(oci.WithImageConfig(image), oci.WithCgroup(n.parent+"/"+id)))
			must(b, err)
			task, err = container.NewTask(ctx, cio.LogFile(filepath.Join(n.spools, id)))
			must(b, err)
		})
		starting += timed(func() { must(b, task.Start(ctx)) })
		deleting += timed(func() {
			_, err := task.Delete(ctx, client.WithProcessKill)
			must(b, err)
			must(b, container.Delete(ctx, client.WithSnapshotCleanup))
		})
	}
	for name, total := range map[string]time.Duration{"create-ms": creating, "start-ms": starting, "delete-ms": deleting} {
		b.ReportMetric(float64(total.Microseconds())/1000/float64(rounds), name)
	}
}
