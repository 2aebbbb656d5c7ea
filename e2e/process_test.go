//go:build e2e

package e2e

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// process is one program of the lab, started like an operator would, with its
// output in a file.
type process struct {
	name    string
	start   func(context.Context) *exec.Cmd
	log     string
	command *exec.Cmd
	ended   chan error
}

// process starts a program that runs until the lab is closed.
func (l *lab) process(name string, start func(context.Context) *exec.Cmd) *process {
	l.t.Helper()
	p := &process{name: name, start: start, log: filepath.Join(l.dir, name+".log")}
	p.run(l.t)
	l.mu.Lock()
	l.processes = append(l.processes, p)
	l.mu.Unlock()
	return p
}

// named returns a process of the lab.
func (l *lab) named(name string) *process {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.processes {
		if p.name == name {
			return p
		}
	}
	l.t.Fatalf("there is no process %s", name)
	return nil
}

// run starts the program, again after a kill.
func (p *process) run(t testing.TB) {
	t.Helper()
	output, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer output.Close()
	p.command = p.start(context.Background())
	p.command.Stdout, p.command.Stderr = output, output
	p.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.command.Start(); err != nil {
		t.Fatalf("start %s: %v", p.name, err)
	}
	p.ended = make(chan error, 1)
	go func(command *exec.Cmd, ended chan<- error) { ended <- command.Wait() }(p.command, p.ended)
}

// pid is the number of the program itself: nsenter replaces itself by it.
func (p *process) pid() int { return p.command.Process.Pid }

// running returns an error when the program has ended by itself.
func (p *process) running() error {
	select {
	case err := <-p.ended:
		p.ended <- err // for whoever stops it
		return fmt.Errorf("%s ended by itself: %w", p.name, cmp.Or(err, errors.New("without an error")))
	default:
		return nil
	}
}

// kill9 ends the program as a crash would, and waits until it is gone.
func (p *process) kill9(t testing.TB) {
	t.Helper()
	if err := syscall.Kill(p.pid(), syscall.SIGKILL); err != nil {
		t.Fatalf("kill %s: %v", p.name, err)
	}
	<-p.ended
	p.ended = nil
}

// stop ends the program as an operator would.
func (p *process) stop(t testing.TB) {
	t.Helper()
	if p.ended == nil {
		return
	}
	if err := syscall.Kill(p.pid(), syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		t.Errorf("stop %s: %v", p.name, err)
	}
	select {
	case <-p.ended:
	case <-time.After(40 * time.Second):
		t.Errorf("%s did not end 40 s after SIGTERM", p.name)
		if err := syscall.Kill(p.pid(), syscall.SIGKILL); err == nil {
			<-p.ended
		}
	}
	p.ended = nil
}

// binary is a program that `make build` made.
func binary(t testing.TB, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "bin", name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%s is missing: run make e2e, which builds it", path)
	}
	return path
}

// unmountBelow detaches every mount below a directory, the deepest first.
func unmountBelow(dir string) error {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
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
