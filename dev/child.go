package dev

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A child that dies is started again after restartDelay, doubled each time up to
// restartDelayMax, and from the start again once it has lived for settled.
const (
	restartDelay    = 100 * time.Millisecond
	restartDelayMax = 5 * time.Second
	settled         = 30 * time.Second
	// A child gets this long between SIGTERM and SIGKILL.
	stopGrace = 10 * time.Second
)

// child is one process of the cluster. Its number is in DATA/NAME.pid and its
// output in DATA/NAME.log.
type child struct {
	name    string
	command []string
	dir     string
	log     *slog.Logger
}

// Run keeps the process running until ctx ends, then stops it.
func (c *child) Run(ctx context.Context) error {
	delay := restartDelay
	for {
		started := time.Now()
		err := c.runOnce(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if time.Since(started) > settled {
			delay = restartDelay
		}
		c.log.Warn("process ended, starting it again", "process", c.name, "err", err, "said", c.lastLine(), "after", delay)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(delay):
		}
		delay = min(2*delay, restartDelayMax)
	}
}

// runOnce starts the process and waits for its end. The thread that starts it is
// kept, because the kernel signals the child when that thread ends: so no child
// outlives a killed parent.
func (c *child) runOnce(ctx context.Context) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	output, err := os.OpenFile(c.path(".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("open log of %s: %w", c.name, err)
	}
	defer output.Close()

	process := exec.CommandContext(ctx, c.command[0], c.command[1:]...)
	process.Stdout, process.Stderr = output, output
	process.Env = withoutSettings(os.Environ())
	process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
	process.Cancel = func() error { return process.Process.Signal(syscall.SIGTERM) }
	process.WaitDelay = stopGrace
	if err := process.Start(); err != nil {
		return fmt.Errorf("start %s: %w", c.name, err)
	}
	if err := os.WriteFile(c.path(".pid"), []byte(strconv.Itoa(process.Process.Pid)+"\n"), 0o644); err != nil {
		return errors.Join(fmt.Errorf("write process id of %s: %w", c.name, err), process.Process.Kill(), process.Wait())
	}
	err = process.Wait()
	return errors.Join(err, removeIfExists(c.path(".pid")))
}

// withoutSettings takes RUNWAY_ variables away: they are meant for this process, and
// would win over the child's own file.
func withoutSettings(environment []string) []string {
	return slices.DeleteFunc(slices.Clone(environment), func(entry string) bool {
		return strings.HasPrefix(entry, "RUNWAY_")
	})
}

// lastLine returns the end of the process's output, which tells why it ended.
func (c *child) lastLine() string {
	const enough = 4096
	file, err := os.Open(c.path(".log"))
	if err != nil {
		return ""
	}
	defer file.Close()
	if size, err := file.Seek(0, io.SeekEnd); err == nil {
		_, err = file.Seek(max(0, size-enough), io.SeekStart)
		if err != nil {
			return ""
		}
	}
	text, err := io.ReadAll(io.LimitReader(file, enough))
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return lines[len(lines)-1]
}

func (c *child) path(suffix string) string { return c.dir + "/" + c.name + suffix }

func removeIfExists(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
