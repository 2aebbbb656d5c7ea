package containerd

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"

	"github.com/containerd/containerd/api/types/runc/options"
	client "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/plugins"
	"github.com/containerd/errdefs"

	"github.com/runway-platform/runway/agent/runtime"
)

// Create makes root filesystem, container record, shim and a process that waits for Start.
func (r *Runtime) Create(ctx context.Context, spec runtime.ContainerSpec) error {
	if err := spec.Validate(); err != nil {
		return fmt.Errorf("create container %q: %w", spec.ID, err)
	}
	defer r.changes.begin(spec.ID)()
	ctx, cancel := r.bound(ctx, createTimeout)
	defer cancel()
	if err := r.create(ctx, spec); err != nil {
		return fmt.Errorf("create container %q: %w", spec.ID, err)
	}
	return nil
}

func (r *Runtime) create(ctx context.Context, spec runtime.ContainerSpec) error {
	exists, err := r.hasTask(ctx, spec.ID)
	if exists || err != nil {
		return err
	}
	image, err := r.client.GetImage(ctx, spec.Image)
	if errdefs.IsNotFound(err) {
		return fmt.Errorf("%w: %w", runtime.ErrImageNotFound, err)
	}
	if err != nil {
		return classify(err)
	}
	err = r.build(ctx, spec, image)
	if errdefs.IsAlreadyExists(err) { // parts of a creation that was cut off
		if err = r.Delete(ctx, spec.ID); err == nil {
			err = r.build(ctx, spec, image)
		}
	}
	if err != nil {
		return errors.Join(classify(err), r.Delete(context.WithoutCancel(ctx), spec.ID))
	}
	return nil
}

// hasTask reports whether the container is there in a state that Create leaves alone.
func (r *Runtime) hasTask(ctx context.Context, id runtime.ContainerID) (bool, error) {
	_, err := r.status(ctx, id)
	if errors.Is(err, runtime.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// build makes everything anew.
func (r *Runtime) build(ctx context.Context, spec runtime.ContainerSpec, image client.Image) error {
	labels, err := r.containerLabels(spec)
	if err != nil {
		return err
	}
	if err := errors.Join(r.writeLogConfig(spec.ID), makeSpool(spec.LogPath)); err != nil {
		return fmt.Errorf("%w: %w", runtime.ErrUnavailable, err)
	}
	owner := snapshots.WithLabels(map[string]string{parentLabel: r.config.CgroupParent})
	container, err := r.client.NewContainer(ctx, string(spec.ID),
		client.WithSnapshotter(r.config.Snapshotter),
		client.WithNewSnapshot(string(spec.ID), image, owner),
		client.WithContainerLabels(labels), // ours alone, never the image's
		client.WithRuntime(plugins.RuntimeRuncV2, &options.Options{}),
		client.WithNewSpec(r.specOptions(spec, image)...))
	if err != nil {
		return err
	}
	_, err = container.NewTask(ctx, output(spec.LogPath))
	return err
}

// output makes the shim append both streams of a process to its spool. Under one name it would open the spool once and close it
// when the first stream ends: what the process said last on the other was lost. Therefore the second has another name.
func output(spool string) cio.Creator {
	folder, name := filepath.Split(spool)
	return func(string) (cio.IO, error) {
		return cio.Load(cio.NewFIFOSet(cio.Config{Stdout: spool, Stderr: folder + "./" + name}, nil))
	}
}

// makeSpool makes the file that the shim appends to: by these names it opens one, and makes none.
func makeSpool(path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("make spool: %w", err)
	}
	return file.Close()
}

func (r *Runtime) containerLabels(spec runtime.ContainerSpec) (map[string]string, error) {
	labels, err := r.nerdctlLabels(spec)
	if err != nil {
		return nil, err
	}
	maps.Copy(labels, spec.Labels)
	labels[parentLabel] = r.config.CgroupParent
	labels[spoolLabel] = spec.LogPath
	return labels, nil
}

// removeFile removes a file that may be gone already.
func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
