package dev

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

const (
	// stopDeadline is longer than the grace of all children, which stop together.
	stopDeadline = 2 * stopGrace
	// removeDeadline bounds the removal of one node's replicas.
	removeDeadline = 2 * time.Minute
)

// Stop ends the cluster that runs from the directory; replicas go on. It is no
// error when none runs.
func Stop(ctx context.Context, dataDir string) error {
	pid, running := Running(dataDir)
	if !running {
		return nil
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop process %d: %w", pid, err)
	}
	ctx, cancel := context.WithTimeout(ctx, stopDeadline)
	defer cancel()
	for {
		if _, running := Running(dataDir); !running {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("process %d did not stop in %s", pid, stopDeadline)
		case <-time.After(poll):
		}
	}
}

// Remove stops the cluster and removes every trace of it: replicas, networks,
// rules, cgroups, its own containerd and the directory.
func Remove(ctx context.Context, dataDir, executable string, log *slog.Logger) error {
	if _, err := os.Stat(dataDir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	c := Config{DataDir: dataDir, Executable: executable}
	if !c.marked() {
		return fmt.Errorf("%s was not made by `runway dev` (it has no file %s): nothing was removed", dataDir, marker)
	}
	if err := Stop(ctx, dataDir); err != nil {
		return err
	}
	if err := c.endChildren(ctx); err != nil {
		return err
	}
	if err := c.removeNodes(ctx, log); err != nil {
		return err
	}
	if err := c.unlinkContext(); err != nil {
		return err
	}
	if err := c.removeContainerdRun(); err != nil {
		return err
	}
	if err := unmountBelow(dataDir); err != nil {
		return err
	}
	if err := os.RemoveAll(dataDir); err != nil {
		return fmt.Errorf("remove data directory: %w", err)
	}
	return nil
}

// removeNodes runs `runway agent remove` for every node, with a containerd of the
// cluster's own brought up for it once more.
func (c Config) removeNodes(ctx context.Context, log *slog.Logger) error {
	files, err := filepath.Glob(c.path("node-*.yml"))
	if err != nil || len(files) == 0 {
		return err
	}
	group, groupCtx := errgroup.WithContext(ctx)
	running, stop := context.WithCancel(groupCtx)
	if _, err := os.Stat(c.path("containerd", "config.toml")); err == nil {
		own := &child{name: "containerd", command: []string{"containerd", "--config", c.path("containerd", "config.toml")}, dir: c.DataDir, log: log}
		group.Go(func() error { return own.Run(running) })
	}
	group.Go(func() error {
		defer stop()
		for _, file := range files {
			if err := c.removeNode(groupCtx, file); err != nil {
				return err
			}
		}
		return nil
	})
	return group.Wait()
}

func (c Config) removeNode(ctx context.Context, file string) error {
	ctx, cancel := context.WithTimeout(ctx, removeDeadline)
	defer cancel()
	output, err := exec.CommandContext(ctx, c.Executable, "agent", "remove", "--config", file).CombinedOutput()
	if err != nil {
		return fmt.Errorf("remove node of %s: %w: %s", file, err, strings.TrimSpace(string(output)))
	}
	return nil
}

// removeContainerdRun removes what shims of the cluster's containerds have left: all of it
// when nobody had any before and the containerd was the cluster's own, else what is ours.
func (c Config) removeContainerdRun() error {
	made, err := c.madeFolders()
	if err != nil {
		return err
	}
	chosen, err := c.chosenContainerd()
	if err != nil {
		return err
	}
	inUse, err := containerdRunInUse()
	if err != nil {
		return err
	}
	if inUse || chosen != c.ownContainerd() || !slices.Contains(made, containerdRun) {
		return c.removeFolders()
	}
	if err := unmountBelow(containerdRun); err != nil {
		return err
	}
	if err := os.RemoveAll(containerdRun); err != nil {
		return fmt.Errorf("remove %s: %w", containerdRun, err)
	}
	return nil
}

// containerdRunInUse tells whether another containerd came to the machine since.
func containerdRunInUse() (bool, error) {
	sockets, err := filepath.Glob(containerdRun + "/*.sock*")
	if err != nil || len(sockets) > 0 {
		return true, err
	}
	shims, err := filepath.Glob(containerdRun + "/s/*")
	return len(shims) > 0, err
}

// unmountBelow detaches every mount below a directory, the deepest first.
func unmountBelow(dir string) error {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return fmt.Errorf("read mounts: %w", err)
	}
	lines := strings.Split(string(table), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		fields := strings.Fields(lines[i])
		if len(fields) < 5 || !strings.HasPrefix(fields[4], dir+"/") {
			continue
		}
		if err := unix.Unmount(fields[4], unix.MNT_DETACH); err != nil {
			return fmt.Errorf("unmount %s: %w", fields[4], err)
		}
	}
	return nil
}
