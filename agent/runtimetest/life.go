package runtimetest

import (
	"context"
	"fmt"
	"time"

	"github.com/runway-platform/runway/agent/runtime"
)

// killed is the exit code after SIGKILL.
const killed = 137

// watchBuffer is room for events while the test looks elsewhere; beyond it they are lost, as the contract allows.
const watchBuffer = 256

type watcher struct {
	events chan runtime.Event
	failed chan error
}

// Exit ends a running container as if by itself.
func (f *Fake) Exit(id runtime.ContainerID, code int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c, found := f.containers[id]; found {
		f.exit(c, code)
	}
}

// OOM ends a running container as the kernel does for its memory limit.
func (f *Fake) OOM(id runtime.ContainerID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c, found := f.containers[id]; found {
		f.oom(c)
	}
}

// Lose makes a container Unknown, as when its shim is killed.
func (f *Fake) Lose(id runtime.ContainerID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c, found := f.containers[id]; found {
		f.lose(c)
	}
}

// Hang makes the supervisor of a container fall silent, or answer again, as when its shim is stopped.
func (f *Fake) Hang(id runtime.ContainerID, silent bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c, found := f.containers[id]; found {
		c.Silent = silent
	}
}

// Outage makes every call fail with err and ends every watch, as when containerd is stopped; nil ends it. Containers go on.
func (f *Fake) Outage(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.outage = err
	if err == nil {
		return
	}
	for w := range f.watchers {
		f.endWatch(w, err)
	}
}

// Reboot makes every container Unknown and ends every watch, as a restart of the machine does. Images stay.
func (f *Fake) Reboot() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.containers {
		f.lose(c)
	}
	for w := range f.watchers {
		f.endWatch(w, fmt.Errorf("watch containers: %w", runtime.ErrUnavailable))
	}
}

// Watch sends events until ctx ends or Reboot.
func (f *Fake) Watch(ctx context.Context) (<-chan runtime.Event, <-chan error) {
	w := &watcher{events: make(chan runtime.Event, watchBuffer), failed: make(chan error, 1)}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.begin(StepWatch, ""); err != nil {
		w.failed <- err
		close(w.events)
		return w.events, w.failed
	}
	f.watchers[w] = struct{}{}
	context.AfterFunc(ctx, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.endWatch(w, nil)
	})
	return w.events, w.failed
}

func (f *Fake) endWatch(w *watcher, err error) {
	if _, found := f.watchers[w]; !found {
		return
	}
	delete(f.watchers, w)
	if err != nil {
		w.failed <- err
	}
	close(w.events)
}

func (f *Fake) run(c *container) {
	c.State, c.StartedAt = runtime.StateRunning, time.Now()
	f.after(c, c.behavior.Exits, c.behavior.ExitAfter, func() { f.exit(c, c.behavior.ExitCode) })
	f.after(c, c.behavior.OOMs, c.behavior.OOMAfter, func() { f.oom(c) })
}

func (f *Fake) after(c *container, wanted bool, delay time.Duration, do func()) {
	if !wanted {
		return
	}
	c.timers = append(c.timers, time.AfterFunc(delay, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		do()
	}))
}

// exit ends a running process; in any other state there is none to end.
func (f *Fake) exit(c *container, code int) {
	stopTimers(c)
	if c.State != runtime.StateRunning {
		return
	}
	if c.Silent {
		f.lose(c) // nobody saw how
		return
	}
	c.State, c.PID, c.ExitCode, c.FinishedAt = runtime.StateExited, 0, code, time.Now()
	f.tell(runtime.Event{Kind: runtime.EventExit, ID: c.ID})
}

// OOMChild is OOM for another process than the first: the container runs on.
func (f *Fake) OOMChild(id runtime.ContainerID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c, found := f.containers[id]; found && c.State == runtime.StateRunning {
		f.oomChild(c)
	}
}

func (f *Fake) oomChild(c *container) {
	c.OOM.Kills++
	c.OOM.Peak = c.OOM.Limit
	f.tell(runtime.Event{Kind: runtime.EventOOM, ID: c.ID})
}

func (f *Fake) oom(c *container) {
	if c.State != runtime.StateRunning {
		return
	}
	f.oomChild(c)
	f.exit(c, killed)
}

func (f *Fake) lose(c *container) {
	stopTimers(c)
	c.State, c.PID, c.Silent = runtime.StateUnknown, 0, false
}

func stopTimers(c *container) {
	for _, timer := range c.timers {
		timer.Stop()
	}
	c.timers = nil
}

func (f *Fake) tell(event runtime.Event) {
	for w := range f.watchers {
		select {
		case w.events <- event:
		default:
		}
	}
}
