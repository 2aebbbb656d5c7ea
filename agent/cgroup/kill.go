package cgroup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// emptyPoll is how often a dying cgroup is looked at. The kernel reports "empty" to a watcher on v2 only.
const emptyPoll = 5 * time.Millisecond

// Kill ends every process in the cgroup and returns when it is empty, or with ctx's error. The cgroup is frozen first where
// the kernel cannot kill it as a whole, so that nothing in it can fork away.
func (g Group) Kill(ctx context.Context) error {
	err := poll(ctx, func() (bool, error) {
		pids, err := g.PIDs()
		if err != nil || len(pids) == 0 {
			return err == nil, err
		}
		return false, g.killOnce(pids)
	})
	if err != nil {
		return fmt.Errorf("kill cgroup %q: %w", g.path, err)
	}
	return nil
}

// Remove deletes the empty cgroup from every hierarchy. A cgroup that is not there is no error.
func (g Group) Remove(ctx context.Context) error {
	err := poll(ctx, func() (bool, error) {
		folders, err := g.folders()
		if err != nil || len(folders) == 0 {
			return err == nil, err
		}
		return false, removeFolders(folders)
	})
	if err != nil {
		return fmt.Errorf("remove cgroup %q: %w", g.path, err)
	}
	return nil
}

// killOnce sends SIGKILL to all processes of this moment.
func (g Group) killOnce(pids []int) error {
	err := os.WriteFile(g.file("", "cgroup.kill"), []byte("1"), 0)
	if g.tree.unified && err == nil {
		return nil
	}
	g.freeze(true) // best effort: without it a fork bomb only takes more rounds
	defer g.freeze(false)
	for _, pid := range pids {
		if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("kill process %d: %w", pid, err)
		}
	}
	return nil
}

func (g Group) freeze(frozen bool) {
	name, word := "freezer.state", map[bool]string{true: "FROZEN", false: "THAWED"}[frozen]
	if g.tree.unified {
		name, word = "cgroup.freeze", map[bool]string{true: "1", false: "0"}[frozen]
	}
	_ = os.WriteFile(g.file("freezer", name), []byte(word), 0)
}

// removeFolders removes what can be removed now; a cgroup whose last process is still being reaped is busy.
func removeFolders(folders []string) error {
	for _, folder := range folders {
		err := unix.Rmdir(folder)
		if err != nil && !errors.Is(err, unix.EBUSY) && !isGone(err) {
			return &fs.PathError{Op: "rmdir", Path: filepath.Clean(folder), Err: err}
		}
	}
	return nil
}

// isGone reports a cgroup that vanished: its files answer ENODEV while it does.
func isGone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV)
}

// poll calls done until it says true, fails, or ctx ends.
func poll(ctx context.Context, done func() (bool, error)) error {
	ticker := time.NewTicker(emptyPoll)
	defer ticker.Stop()
	for {
		finished, err := done()
		if finished || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}
