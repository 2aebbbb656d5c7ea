package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/containerd/errdefs"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sync/errgroup"
)

func (f *floor) id() string {
	f.made++
	return "floor-" + strconv.Itoa(f.made)
}

// create makes a container whose process waits to be started.
func (f *floor) create(ctx context.Context, id string, more ...oci.SpecOpts) (client.Task, error) {
	options := append([]oci.SpecOpts{oci.WithImageConfig(f.image), oci.WithEnv([]string{"PORT=" + strconv.Itoa(floorPort)})}, more...)
	container, err := f.client.NewContainer(ctx, id,
		client.WithSnapshotter(snapshotter), client.WithNewSnapshot(id, f.image), client.WithNewSpec(options...))
	if err != nil {
		return nil, fmt.Errorf("create container: %w", err)
	}
	task, err := container.NewTask(ctx, cio.NullIO)
	if err != nil {
		return nil, fmt.Errorf("create task: %w", err)
	}
	return task, nil
}

// burst creates and starts n containers side by side, without a network, and
// removes them.
func (f *floor) burst(ctx context.Context, n int) (took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(namespaces.WithNamespace(ctx, floorNamespace), time.Duration(n)*floorLimit)
	defer cancel()
	ids := make([]string, n)
	for i := range ids {
		ids[i] = f.id()
	}
	begin := time.Now()
	err = together(ids, func(id string) error {
		task, err := f.create(ctx, id)
		if err != nil {
			return err
		}
		return task.Start(ctx)
	})
	took = time.Since(begin)
	return took, errors.Join(err, together(ids, func(id string) error { return f.remove(ctx, id) }))
}

func together(ids []string, do func(string) error) error {
	var group errgroup.Group
	for _, id := range ids {
		group.Go(func() error { return do(id) })
	}
	return group.Wait()
}

// remove ends a container and removes it.
func (f *floor) remove(ctx context.Context, id string) error {
	container, err := f.client.LoadContainer(ctx, id)
	if errdefs.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove container %q: %w", id, err)
	}
	task, err := container.Task(ctx, nil)
	if err == nil {
		_, err = task.Delete(ctx, client.WithProcessKill)
	}
	if err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("remove container %q: %w", id, err)
	}
	if err := container.Delete(ctx, client.WithSnapshotCleanup); err != nil {
		return fmt.Errorf("remove container %q: %w", id, err)
	}
	return nil
}

// accepts waits for the first connection that the process accepts.
func accepts(ctx context.Context, ip net.IP) error {
	address := net.JoinHostPort(ip.String(), strconv.Itoa(floorPort))
	pause := time.NewTicker(pollEvery)
	defer pause.Stop()
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err == nil {
			return conn.Close()
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			return fmt.Errorf("connect to the floor's container: %w", err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("connect to the floor's container: %w", ctx.Err())
		case <-pause.C:
		}
	}
}

func networkNamespace(path string) specs.LinuxNamespace {
	return specs.LinuxNamespace{Type: specs.NetworkNamespace, Path: path}
}

// close removes image, namespace and bridge; the cluster's removal does not know
// them.
func (f *floor) close() error {
	var problems []error
	if f.client != nil {
		ctx, cancel := context.WithTimeout(namespaces.WithNamespace(context.Background(), floorNamespace), removeLimit)
		defer cancel()
		problems = append(problems, f.removeImages(ctx), f.client.NamespaceService().Delete(ctx, floorNamespace), f.client.Close())
	}
	problems = append(problems, removeBridge(), os.RemoveAll(f.dir))
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("remove the floor: %w", err)
	}
	return nil
}

// removeImages removes the import, content and snapshots included: a namespace that
// holds anything cannot be removed.
func (f *floor) removeImages(ctx context.Context) error {
	all, err := f.client.ImageService().List(ctx)
	problems := []error{err}
	for _, image := range all {
		problems = append(problems, f.client.ImageService().Delete(ctx, image.Name, images.SynchronousDelete()))
	}
	return errors.Join(problems...)
}
