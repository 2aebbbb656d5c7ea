package containerd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/runway-platform/runway/agent/runtime"
)

// removeTimeout bounds Remove: containerd collects the layers of all images in it.
const removeTimeout = time.Minute

// Remove takes away what belongs to the node and to no container: the cgroup parent and, unless another agent has containers
// in the same containerd namespace, its images, the namespace and nerdctl's folder. Every container of the node must have been
// deleted before. It is idempotent, and goes on after an error to remove what it can.
func (r *Runtime) Remove(ctx context.Context) error {
	ctx, cancel := r.bound(ctx, removeTimeout)
	defer cancel()
	err := r.removeParent(ctx)
	others, listErr := r.client.ContainerService().List(ctx)
	if listErr != nil {
		return errors.Join(err, fmt.Errorf("list containers of namespace %q: %w", r.config.Namespace, classifyDelete(listErr)))
	}
	if len(others) > 0 {
		return err
	}
	return errors.Join(err, r.removeNamespace(ctx), r.removeNerdctl(), r.removeEmptyFolders())
}

// removeNamespace empties containerd's namespace and removes it.
func (r *Runtime) removeNamespace(ctx context.Context) error {
	kept, err := r.client.ImageService().List(ctx)
	if err != nil {
		return fmt.Errorf("list images of namespace %q: %w", r.config.Namespace, err)
	}
	for _, image := range kept {
		if err := r.client.ImageService().Delete(ctx, image.Name, images.SynchronousDelete()); err != nil && !errdefs.IsNotFound(err) {
			return fmt.Errorf("delete image %q: %w", image.Name, err)
		}
	}
	if err := r.removeSnapshots(ctx); err != nil {
		return err
	}
	err = r.client.NamespaceService().Delete(ctx, r.config.Namespace)
	if err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("delete namespace %q: %w", r.config.Namespace, err)
	}
	return nil
}

// removeSnapshots empties the snapshotter, children before parents, so that the
// namespace is free at once and not at containerd's next collection.
func (r *Runtime) removeSnapshots(ctx context.Context) error {
	store := r.client.SnapshotService(r.config.Snapshotter)
	for {
		leaves, err := snapshotLeaves(ctx, store)
		if err != nil {
			return fmt.Errorf("list snapshots: %w", err)
		}
		if len(leaves) == 0 {
			return nil
		}
		for _, name := range leaves {
			if err := store.Remove(ctx, name); err != nil && !errdefs.IsNotFound(err) {
				return fmt.Errorf("remove snapshot %q: %w", name, err)
			}
		}
	}
}

// snapshotLeaves returns the snapshots that no other rests on.
func snapshotLeaves(ctx context.Context, store snapshots.Snapshotter) ([]string, error) {
	parents, all := map[string]bool{}, []string{}
	err := store.Walk(ctx, func(_ context.Context, info snapshots.Info) error {
		all = append(all, info.Name)
		parents[info.Parent] = true
		return nil
	})
	return slices.DeleteFunc(all, func(name string) bool { return parents[name] }), err
}

// removeParent removes the empty cgroups of this node, and the one above it when
// nobody else is in there.
func (r *Runtime) removeParent(ctx context.Context) error {
	if err := r.tree.Group(r.config.CgroupParent).Remove(ctx); err != nil {
		return fmt.Errorf("remove cgroup %q: %w", r.config.CgroupParent, err)
	}
	above := filepath.Dir(r.config.CgroupParent)
	if above == "/" {
		return nil
	}
	if children, err := r.tree.Children(above); err != nil || len(children) > 0 {
		return err
	}
	return r.tree.Group(above).Remove(ctx)
}

// removeNerdctl removes what nerdctl finds of this namespace, and the folders above
// it that are empty then.
func (r *Runtime) removeNerdctl() error {
	folder, err := nerdctlFolder(r.config.NerdctlDataRoot, r.config.Address, r.config.Namespace, runtime.ContainerID("x"))
	if err != nil {
		return err
	}
	namespace := filepath.Dir(folder)
	if err := os.RemoveAll(namespace); err != nil {
		return fmt.Errorf("remove logs of namespace %q: %w", r.config.Namespace, err)
	}
	for dir := filepath.Dir(namespace); strings.HasPrefix(dir, r.config.NerdctlDataRoot); dir = filepath.Dir(dir) {
		if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil // somebody keeps something there
		}
	}
	return nil
}

// removeEmptyFolders removes what containerd and its shims keep of the namespace. One that is not empty serves another agent.
func (r *Runtime) removeEmptyFolders() error {
	for _, folder := range r.namespaceFolders() {
		err := unix.Rmdir(folder)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTEMPTY) {
			return fmt.Errorf("remove folder %q: %w", folder, err)
		}
	}
	return nil
}

// namespaceFolders are made once for the namespace, and left. Those above them belong to all containerds of the machine, one of
// which may be about to use them.
func (r *Runtime) namespaceFolders() []string {
	return []string{
		filepath.Join(r.config.StateDir, bundles, r.config.Namespace), filepath.Join(r.config.RootDir, bundles, r.config.Namespace),
		filepath.Join(runcStates, r.config.Namespace),
	}
}
