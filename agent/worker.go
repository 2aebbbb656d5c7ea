package agent

import (
	"context"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// decisions is how many memory-only actions one round may take for a replica: fail or condemn, then the next step.
	decisions = 3
	// saveEvery bounds how often histories are written.
	saveEvery = 50 * time.Millisecond
	// neverSooner is the least time between two rounds that nothing but time asked for.
	neverSooner = 2 * time.Millisecond
	// hangsAfter is how long the worker may be silent: several times the time between two looks.
	hangsAfter = 15 * time.Second
	// neverLater is when a round happens although nothing is due.
	neverLater = time.Minute
)

// worker makes the node run what is assigned to it. It is one loop: take in what happened, look at each replica, start what is
// to be done, sleep. Start-up, events and repair take the same path. All fields belong to Run's goroutine but inbox and deps.
type worker struct {
	config   Config
	deps     Deps
	log      *slog.Logger
	exec     *executor
	inbox    *inbox
	reporter *reporter
	jitter   func(time.Duration) time.Duration
	running  sync.WaitGroup

	// desired is nil until a full set is known: then nothing is started, and above all nothing stopped.
	desired  *assignments
	replicas map[string]*replica
	past     map[string]history // loaded, not yet claimed by a replica
	busy     map[string]verb
	pulling  map[string]context.CancelFunc
	probes   map[string]*probing

	// clock counts changes made by this worker, and changed holds its reading at a replica's last one, so that an older look at
	// the machine does not undo it.
	clock   uint64
	changed map[string]uint64
	sighted bool
	// presuming is true from an agent's start until the runtime answers for the first time: replicas that were ready are taken
	// to run, and only their probes are believed.
	presuming bool
	looking   bool
	blind     bool
	lookAt    time.Time
	unsaved   bool
	savedAt   time.Time
	node      nodeWork
	// pulse is when the last round ended, in nanoseconds: the session tells from it whether the worker hangs.
	pulse atomic.Int64
}

func newWorker(config Config, deps Deps, reporter *reporter, desired *assignments, past map[string]history) *worker {
	w := &worker{
		config: config, deps: deps, log: deps.Log, exec: newExecutor(config, deps), inbox: newInbox(), reporter: reporter,
		jitter: halfJitter, past: past, replicas: map[string]*replica{}, busy: map[string]verb{},
		pulling: map[string]context.CancelFunc{}, probes: map[string]*probing{}, changed: map[string]uint64{},
	}
	w.pulse.Store(time.Now().UnixNano())
	w.assign(desired, time.Now())
	return w
}

// halfJitter spreads retries over the second half of their delay.
func halfJitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }

// Run works until ctx ends. Replicas are left running: what supervises them next finds them by their names.
func (w *worker) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer w.running.Wait()
	defer cancel()
	w.running.Go(func() { w.watch(ctx) })
	w.running.Go(func() { w.tellRepairs(ctx) })
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			w.saveHistories(time.Now())
			return ctx.Err()
		case <-w.inbox.wake:
		case <-timer.C:
		}
		timer.Reset(max(neverSooner, time.Until(w.round(ctx, time.Now()))))
		w.pulse.Store(time.Now().UnixNano())
	}
}

// alive reports whether the worker works: there is a round at least every lookEvery. It may be called from any goroutine.
func (w *worker) alive() bool { return time.Since(time.Unix(0, w.pulse.Load())) < hangsAfter }

// round does everything that can be done now and returns when to look again at the latest.
func (w *worker) round(ctx context.Context, now time.Time) time.Time {
	w.absorb(w.inbox.take(), now)
	w.look(ctx, now)
	next := earliest(now.Add(neverLater), w.lookAt)
	if w.desired == nil || !w.sighted {
		return earliest(next, w.actBlind(ctx, now))
	}
	next = earliest(next, w.stepAll(ctx, now))
	next = earliest(next, w.tendNode(ctx, now))
	w.deps.Metrics.observe(w.replicas, w.reporter)
	w.reporter.begin()
	return earliest(next, w.save(now))
}

// stepAll takes the next step of every replica and reports it.
func (w *worker) stepAll(ctx context.Context, now time.Time) time.Time {
	next := now.Add(neverLater)
	w.markPublished()
	for _, id := range slices.Sorted(maps.Keys(w.replicas)) {
		r := w.replicas[id]
		w.superviseProbes(ctx, r)
		w.note(r, r.settle(now))
		if at := w.stepOne(ctx, r, now); !at.IsZero() {
			next = earliest(next, at)
		}
	}
	return next
}

// stepOne carries memory-only decisions out itself and hands anything else to the executor. It returns when the replica must
// be looked at again by time.
func (w *worker) stepOne(ctx context.Context, r *replica, now time.Time) time.Time {
	for range decisions {
		next, status := step(r, now)
		if next.do == doForget {
			w.forget(r)
			return time.Time{}
		}
		if r.want != nil {
			w.reporter.put(r.id, r.want.GetNodeEpoch(), status)
		}
		if w.decide(r, next) {
			continue
		}
		if next.do != doNothing {
			w.dispatch(ctx, r, next)
		}
		return next.until
	}
	return now
}

// decide performs an action that changes only what the agent remembers.
func (w *worker) decide(r *replica, a action) bool {
	switch a.do {
	case doFail:
		w.fail(r, a.cause)
	case doCondemn:
		r.past.Condemned = a.cause
		w.log.Warn("replica must restart", "replica_id", r.id, "attempt", r.past.Attempt, "reason", a.cause.Summary)
	default:
		return false
	}
	w.note(r, true)
	return true
}

func (w *worker) fail(r *replica, why *cause) {
	r.past.Failure = why
	w.cancelPulls()
	w.deps.Metrics.failed(why.Code)
	w.log.Warn("replica failed", "replica_id", r.id, "code", why.Code, "reason", why.Summary)
}

// dispatch starts an action, unless one of this replica, or the pull of its image, is under way.
func (w *worker) dispatch(ctx context.Context, r *replica, a action) {
	if a.do == doPull {
		w.dispatchPull(ctx, r)
		return
	}
	if _, busy := w.busy[r.id]; busy {
		return
	}
	w.busy[r.id] = a.do
	o := order{action: a, replica: r.id, want: r.want, place: r.seen.place, attempt: r.past.Attempt}
	if c := r.seen.container; c != nil {
		o.pid = c.PID
	}
	w.running.Go(func() { w.inbox.putResult(w.exec.carryOut(ctx, o)) })
}

// dispatchPull pulls an image once for all the replicas that wait for it.
func (w *worker) dispatchPull(ctx context.Context, r *replica) {
	image := r.spec().GetImage().GetResolved()
	if w.pulling[image] != nil {
		r.seen.queued = w.exec.pulls.queued(image)
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	w.pulling[image] = cancel
	o := order{action: action{do: doPull}, image: image, space: r.want.GetWorkload().GetSpace()}
	w.running.Go(func() { w.inbox.putResult(w.exec.carryOut(ctx, o)) })
}

// forget drops a replica of which nothing is left, and its logs.
func (w *worker) forget(r *replica) {
	for attempt := max(0, r.past.Attempt-keptAttempts); attempt <= r.past.Attempt; attempt++ {
		if err := w.deps.Logs.Remove(containerName(r.id, attempt)); err != nil {
			w.log.Warn("logs were not removed", "replica_id", r.id, "err", err)
		}
	}
	delete(w.replicas, r.id)
	delete(w.changed, r.id)
	w.inbox.forgetProbe(r.id)
	w.reporter.drop(r.id)
	w.unsaved = true
	w.log.Info("replica is gone", "replica_id", r.id)
}

// note marks a replica as changed.
func (w *worker) note(r *replica, changed bool) {
	w.unsaved = w.unsaved || changed
}

func (w *worker) save(now time.Time) time.Time {
	if !w.unsaved {
		return now.Add(neverLater)
	}
	if due := w.savedAt.Add(saveEvery); now.Before(due) {
		return due
	}
	w.saveHistories(now)
	return now.Add(neverLater)
}

func (w *worker) saveHistories(now time.Time) {
	if w.desired == nil || !w.sighted || !w.unsaved {
		return
	}
	all := make(map[string]history, len(w.replicas))
	for id, r := range w.replicas {
		all[id] = r.past
	}
	if err := saveHistories(w.config.DataDir, all); err != nil {
		w.log.Warn("replica histories were not saved", "err", err)
	}
	w.unsaved, w.savedAt = false, now
}

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
