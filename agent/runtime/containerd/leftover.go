package containerd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/moby/sys/mountinfo"
	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"github.com/runway-platform/runway/agent/runtime"
)

// bundles is where containerd keeps the folders of its tasks, below its state and its root.
const bundles = "io.containerd.runtime.v2.task"

// runcStates is where the shim keeps the low-level runtime's state of each container. It does not depend on containerd's own
// state folder.
const runcStates = "/run/containerd/runc"

// removeLeftovers ends what a killed shim leaves behind: live processes, a shim that containerd has forgotten, the mounted
// root filesystem, folders. After a regular end of the task only an empty cgroup can remain.
func (r *Runtime) removeLeftovers(ctx context.Context, id runtime.ContainerID, forgotten bool) error {
	if err := r.killOrphans(ctx, id); err != nil {
		return err
	}
	if !forgotten {
		return nil
	}
	if err := r.killShim(id); err != nil {
		return err
	}
	return r.removeBundle(id)
}

// Repairs tells what was ended by force. What nobody takes from it in time is logged instead.
func (r *Runtime) Repairs() <-chan runtime.Repair { return r.repairs }

func (r *Runtime) repaired(id runtime.ContainerID, format string, args ...any) {
	repair := runtime.Repair{ID: id, Detail: fmt.Sprintf(format, args...)}
	select {
	case r.repairs <- repair:
	default:
		r.config.Logger.Warn("repaired", "container_id", id, "drift", repair.Detail)
	}
}

// killOrphans ends processes that outlived their task.
func (r *Runtime) killOrphans(ctx context.Context, id runtime.ContainerID) error {
	group := r.group(id)
	pids, err := group.PIDs()
	if err != nil || len(pids) == 0 {
		return err
	}
	if err := group.Kill(ctx); err != nil {
		return err
	}
	r.repaired(id, "killed %d processes without a supervisor: %v", len(pids), pids)
	return nil
}

// killShim ends the shims of a container that containerd has no task of.
func (r *Runtime) killShim(id runtime.ContainerID) error {
	processes, err := procfs.AllProcs()
	if err != nil {
		return fmt.Errorf("list processes: %w", err)
	}
	for _, process := range processes {
		words, err := process.CmdLine()
		if err != nil || !r.isShim(words, id) { // a process that is gone has no command line
			continue
		}
		if err := unix.Kill(process.PID, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("kill shim %d: %w", process.PID, err)
		}
		r.repaired(id, "killed supervisor %d, which did not answer or was forgotten", process.PID)
	}
	return nil
}

// isShim recognizes "containerd-shim-runc-v2 -namespace NS -id ID -address SOCKET" of our containerd.
func (r *Runtime) isShim(words []string, id runtime.ContainerID) bool {
	follows := func(flag, value string) bool {
		at := slices.Index(words, flag)
		return at >= 0 && at+1 < len(words) && words[at+1] == value
	}
	return len(words) > 0 && filepath.Base(words[0]) == "containerd-shim-runc-v2" &&
		follows("-namespace", r.config.Namespace) && follows("-id", string(id)) && follows("-address", r.config.Address)
}

// removeBundle unmounts the root filesystem and removes the task's folders.
func (r *Runtime) removeBundle(id runtime.ContainerID) error {
	state := r.bundle(id)
	if err := unmountBelow(state); err != nil {
		return err
	}
	return errors.Join(
		os.RemoveAll(state),
		os.RemoveAll(filepath.Join(r.config.RootDir, bundles, r.config.Namespace, string(id))),
		os.RemoveAll(filepath.Join(runcStates, r.config.Namespace, string(id))))
}

// unmountBelow detaches every mount in a folder, so that removing the folder cannot reach into one.
func unmountBelow(folder string) error {
	mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(folder))
	if err != nil {
		return fmt.Errorf("list mounts below %q: %w", folder, err)
	}
	slices.SortFunc(mounts, func(a, b *mountinfo.Info) int { return bytes.Compare([]byte(b.Mountpoint), []byte(a.Mountpoint)) })
	for _, mount := range mounts {
		if err := unix.Unmount(mount.Mountpoint, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil && !errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("unmount %q: %w", mount.Mountpoint, err)
		}
	}
	return nil
}
