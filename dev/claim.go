package dev

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// lockFile is held for as long as a cluster runs from the directory. The kernel
// releases it with the process and knows whose it is: a number in a file may belong
// to another process by now.
const lockFile = "dev.lock"

// Running tells whether a cluster runs from the directory, and its process.
func Running(dataDir string) (pid int, running bool) {
	file, err := os.Open(filepath.Join(dataDir, lockFile))
	if err != nil {
		return 0, false
	}
	defer file.Close()
	held := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(file.Fd(), unix.F_GETLK, &held); err != nil || held.Type == unix.F_UNLCK {
		return 0, false
	}
	return int(held.Pid), true
}

// claim makes the data directory and takes it for this process. A directory that
// holds something else is refused, because it would be removed with the cluster.
func (c Config) claim(log *slog.Logger) (release func(), err error) {
	if err := os.MkdirAll(c.DataDir, 0o711); err != nil {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	if err := c.mark(); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(c.path(lockFile), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	if err := unix.FcntlFlock(file.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK}); err != nil {
		pid, _ := Running(c.DataDir)
		return nil, errors.Join(fmt.Errorf("process %d already runs a cluster in %s", pid, c.DataDir), file.Close())
	}
	return func() {
		if err := file.Close(); err != nil {
			log.Warn("release data directory", "err", err)
		}
	}, nil
}

// endChildren ends what a `runway dev` that was killed left running: the kernel has
// told its children to end, and they may take their time. An agent that runs on
// would repair what is taken away, and an ingress would keep its ports.
func (c Config) endChildren(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopDeadline)
	defer cancel()
	kill := time.After(stopGrace)
	signal := syscall.SIGTERM
	told := map[int]syscall.Signal{}
	for {
		left, err := c.children()
		if err != nil || len(left) == 0 {
			return err
		}
		for _, pid := range left {
			if told[pid] != signal {
				told[pid] = signal
				if err := syscall.Kill(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
					return fmt.Errorf("end process %d of the cluster: %w", pid, err)
				}
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("processes %v of the cluster did not end in %s", left, stopDeadline)
		case <-kill:
			signal = syscall.SIGKILL
		case <-time.After(poll):
		}
	}
}

// children are the processes of the cluster that run, without `runway dev` itself. A
// number counts only when the command line of its process names the directory.
func (c Config) children() ([]int, error) {
	files, err := filepath.Glob(c.path("*.pid"))
	if err != nil {
		return nil, err
	}
	var running []int
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it ended meanwhile
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err == nil && c.isChild(pid) {
			running = append(running, pid)
		}
	}
	return running, nil
}

func (c Config) isChild(pid int) bool {
	command, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)) // empty of a zombie
	return err == nil && slices.ContainsFunc(strings.Split(string(command), "\x00"), func(argument string) bool {
		return strings.HasPrefix(argument, c.DataDir+"/")
	})
}
