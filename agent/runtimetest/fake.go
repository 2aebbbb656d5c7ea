// Package runtimetest holds the fake runtime.Runtime for tests and simulations, and the conformance suite that the fake and
// every real implementation must pass. Nothing here touches the machine; time is the time package's, so the fake also runs
// inside testing/synctest.
package runtimetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/runway-platform/runway/agent/runtime"
)

// Behavior is how an image's containers behave in a Fake. The zero value runs until it is told to stop, listens at once, and
// exits with 0 on SIGTERM.
type Behavior struct {
	// PullTime is how long the first pull takes; StartTime delays Start.
	PullTime  time.Duration
	StartTime time.Duration
	// PullErr, CreateErr and StartErr are returned each time by the step.
	PullErr   error
	CreateErr error
	StartErr  error
	// Exits makes the process end by itself, ExitAfter its start, with ExitCode.
	Exits     bool
	ExitAfter time.Duration
	ExitCode  int
	// IgnoreTerm makes only SIGKILL end it.
	IgnoreTerm bool
	// OOMs makes the kernel kill it OOMAfter its start.
	OOMs     bool
	OOMAfter time.Duration
	// NeverListens, or ListenAfter its start: what Listening tells a fake probe.
	NeverListens bool
	ListenAfter  time.Duration
	// Credentials that the registry wants; nil means none.
	Credentials *runtime.Credentials
	// User of the image; "" is root.
	User string
	// Stats of a running container.
	Stats runtime.Stats
}

// Step is a method of the runtime that can be made to fail.
type Step string

// The steps.
const (
	// StepPresent is a pull that asks no registry.
	StepPresent Step = "present"
	StepPull    Step = "pull"
	StepCreate  Step = "create"
	StepStart   Step = "start"
	StepSignal  Step = "signal"
	StepDelete  Step = "delete"
	StepList    Step = "list"
	StepWatch   Step = "watch"
	StepStats   Step = "stats"
)

// Fake is a runtime.Runtime in memory. It outlives the agent that uses it, as containers do: a restarted agent under test is
// given the same Fake again. Its methods may be called concurrently.
type Fake struct {
	mu         sync.Mutex
	images     map[string]Behavior
	pulled     map[string]bool
	containers map[runtime.ContainerID]*container
	failures   map[Step][]error
	calls      []string
	watchers   map[*watcher]struct{}
	lastPID    int
	outage     error
}

type container struct {
	runtime.Container
	spec     runtime.ContainerSpec
	behavior Behavior
	timers   []*time.Timer
}

var _ runtime.Runtime = (*Fake)(nil)

// NewFake returns an empty node with an empty registry.
func NewFake() *Fake {
	return &Fake{
		images:     map[string]Behavior{},
		pulled:     map[string]bool{},
		containers: map[runtime.ContainerID]*container{},
		failures:   map[Step][]error{},
		watchers:   map[*watcher]struct{}{},
		lastPID:    1000,
	}
}

// AddImage puts an image into the registry; ref is "repository@sha256:...". Adding it again changes how containers made
// from then on behave.
func (f *Fake) AddImage(ref string, behavior Behavior) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.images[ref] = behavior
}

// FailNext makes the next calls of a step return these errors, one each, before anything happens.
func (f *Fake) FailNext(step Step, errs ...error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failures[step] = append(f.failures[step], errs...)
}

// Calls returns every call so far as "step argument", in order.
func (f *Fake) Calls() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

// Spec returns what a container was created from.
func (f *Fake) Spec(id runtime.ContainerID) (runtime.ContainerSpec, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c, found := f.containers[id]
	if !found {
		return runtime.ContainerSpec{}, false
	}
	return c.spec, true
}

// Containers returns what there is, whatever List is told to say.
func (f *Fake) Containers() []runtime.Container {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.list()
}

// Listening reports whether the container would answer on its port now.
func (f *Fake) Listening(id runtime.ContainerID) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	c, found := f.containers[id]
	return found && c.State == runtime.StateRunning && !c.behavior.NeverListens &&
		time.Since(c.StartedAt) >= c.behavior.ListenAfter
}

// Runtime

// Pull waits for the image's PullTime the first time.
func (f *Fake) Pull(ctx context.Context, req runtime.PullRequest) (runtime.Image, error) {
	behavior, present, err := f.beginPull(req)
	if err == nil && !present {
		err = wait(ctx, behavior.PullTime)
	}
	if err != nil {
		return runtime.Image{}, fmt.Errorf("pull image %q: %w", req.Ref, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pulled[req.Ref] = true
	_, digest, _ := strings.Cut(req.Ref, "@")
	return runtime.Image{Ref: req.Ref, Digest: digest, User: behavior.User}, nil
}

func (f *Fake) beginPull(req runtime.PullRequest) (behavior Behavior, present bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	step := StepPull
	if req.LocalOnly {
		step = StepPresent
	}
	if err := f.begin(step, req.Ref); err != nil {
		return Behavior{}, false, err
	}
	if _, err := runtime.ParseDigest(req.Ref); err != nil {
		return Behavior{}, false, err
	}
	if f.pulled[req.Ref] {
		return f.images[req.Ref], true, nil
	}
	behavior, found := f.images[req.Ref]
	if !found || req.LocalOnly {
		return Behavior{}, false, runtime.ErrImageNotFound
	}
	if behavior.Credentials != nil && (req.Credentials == nil || *req.Credentials != *behavior.Credentials) {
		return Behavior{}, false, runtime.ErrImageDenied
	}
	return behavior, false, behavior.PullErr
}

// Create makes a container of a pulled image.
func (f *Fake) Create(ctx context.Context, spec runtime.ContainerSpec) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.create(ctx, spec); err != nil {
		return fmt.Errorf("create container %q: %w", spec.ID, err)
	}
	return nil
}

func (f *Fake) create(ctx context.Context, spec runtime.ContainerSpec) error {
	if err := errors.Join(f.begin(StepCreate, string(spec.ID)), ctx.Err(), spec.Validate()); err != nil {
		return err
	}
	if c, found := f.containers[spec.ID]; found && c.State != runtime.StateUnknown {
		return nil
	}
	behavior := f.images[spec.Image]
	switch {
	case !f.pulled[spec.Image]:
		return runtime.ErrImageNotFound
	case spec.Restricted && (behavior.User == "" || behavior.User == "0" || behavior.User == "root"):
		return fmt.Errorf("image runs as root: %w", runtime.ErrRefused)
	case behavior.CreateErr != nil:
		return behavior.CreateErr
	}
	f.lastPID++
	f.containers[spec.ID] = &container{spec: spec, behavior: behavior, Container: runtime.Container{
		ID: spec.ID, Labels: maps.Clone(spec.Labels), State: runtime.StateCreated, PID: f.lastPID, CreatedAt: time.Now(),
		OOM: runtime.OOM{Limit: spec.Resources.Memory},
	}}
	return nil
}

// Start runs the container and sets its timers.
func (f *Fake) Start(ctx context.Context, id runtime.ContainerID) error {
	delay, err := f.beginStart(id)
	if err == nil {
		err = wait(ctx, delay)
	}
	if err != nil {
		return fmt.Errorf("start container %q: %w", id, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if c, found := f.containers[id]; found && c.State == runtime.StateCreated {
		f.run(c)
	}
	return nil
}

func (f *Fake) beginStart(id runtime.ContainerID) (time.Duration, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.begin(StepStart, string(id)); err != nil {
		return 0, err
	}
	c, found := f.containers[id]
	if !found || c.State == runtime.StateUnknown {
		return 0, runtime.ErrNotFound
	}
	if c.State != runtime.StateCreated {
		return 0, nil
	}
	return c.behavior.StartTime, c.behavior.StartErr
}

// Signal ends the container by SIGKILL, or by SIGTERM unless it ignores that.
func (f *Fake) Signal(ctx context.Context, id runtime.ContainerID, sig syscall.Signal) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	c, found := f.containers[id]
	err := errors.Join(f.begin(StepSignal, fmt.Sprintf("%s %d", id, sig)), ctx.Err())
	switch {
	case err != nil:
	case !found || c.State == runtime.StateUnknown:
		err = runtime.ErrNotFound
	case sig == syscall.SIGKILL:
		f.exit(c, killed)
	case sig == syscall.SIGTERM && !c.behavior.IgnoreTerm:
		f.exit(c, 0)
	}
	if err != nil {
		return fmt.Errorf("send %v to container %q: %w", sig, id, err)
	}
	return nil
}

// Delete forgets the container.
func (f *Fake) Delete(ctx context.Context, id runtime.ContainerID) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := errors.Join(f.begin(StepDelete, string(id)), ctx.Err(), id.Validate()); err != nil {
		return fmt.Errorf("delete container %q: %w", id, err)
	}
	if c, found := f.containers[id]; found {
		f.exit(c, killed)
		delete(f.containers, id)
	}
	return nil
}

// List returns all containers.
func (f *Fake) List(ctx context.Context) ([]runtime.Container, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := errors.Join(f.begin(StepList, ""), ctx.Err()); err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	return f.list(), nil
}

func (f *Fake) list() []runtime.Container {
	var listed []runtime.Container
	for _, id := range slices.Sorted(maps.Keys(f.containers)) {
		c := f.containers[id].Container
		c.Labels = maps.Clone(c.Labels)
		listed = append(listed, c)
	}
	return listed
}

// Stats returns the behavior's.
func (f *Fake) Stats(ctx context.Context, id runtime.ContainerID) (runtime.Stats, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := errors.Join(f.begin(StepStats, string(id)), ctx.Err()); err != nil {
		return runtime.Stats{}, fmt.Errorf("read usage of container %q: %w", id, err)
	}
	c, found := f.containers[id]
	if !found || c.State != runtime.StateRunning {
		return runtime.Stats{}, fmt.Errorf("read usage of container %q: %w", id, runtime.ErrNotFound)
	}
	return c.behavior.Stats, nil
}

// begin records a call and takes the failure that was ordered for it.
func (f *Fake) begin(step Step, argument string) error {
	f.calls = append(f.calls, strings.TrimSpace(string(step)+" "+argument))
	if f.outage != nil {
		return f.outage
	}
	if len(f.failures[step]) == 0 {
		return nil
	}
	err := f.failures[step][0]
	f.failures[step] = f.failures[step][1:]
	return err
}

// wait lets time pass; in a synctest bubble, its time.
func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
