package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/runway-platform/runway/coordinator/client"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// defaultWait is longer than the start budget and the progress deadline of any
	// ordinary deployment together.
	defaultWait = 30 * time.Minute
	// silenceLimit is how long a watch may be without an answer from any
	// coordinator. An election takes a second, a restart some.
	silenceLimit = time.Minute
	// watchPause separates two attempts to watch.
	watchPause = 200 * time.Millisecond
)

// watch is what is known of a deployment that is being followed.
type watch struct {
	a        *app
	clients  *clients
	id       string
	progress *progress
	// last is the newest message; nil before the first.
	last *runwayv1.WatchDeploymentResponse
	// heard is when it came.
	heard time.Time
	// started says that a replica of this deployment ever began.
	started bool
	urls    []string
}

func (a *app) newWatch(c *clients, deployment *runwayv1.Deployment) *watch {
	w := &watch{a: a, clients: c, id: deployment.GetId(), progress: a.newProgress(), heard: a.Now()}
	w.last = &runwayv1.WatchDeploymentResponse{Deployment: deployment}
	return w
}

// follow watches until the deployment ended, through lost connections and changes
// of leader. It returns the verdict: nil, or why the deployment did not succeed or
// was not waited for.
func (w *watch) follow(ctx context.Context, wait time.Duration) error {
	defer w.progress.clear()
	limited, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for {
		err := w.listen(limited)
		switch {
		case w.ended():
			return w.verdict()
		case ctx.Err() != nil:
			return w.goesOn(exitInterrupted, "interrupted")
		case limited.Err() != nil, status.Code(err) == codes.DeadlineExceeded:
			// The stream may notice its deadline a moment before the context does.
			return w.goesOn(exitStillRunning, fmt.Sprintf("still %s after %s", deploymentPhase(w.phase()), wait))
		case !passing(err):
			return err
		case w.a.Now().Sub(w.heard) > silenceLimit:
			return w.lost(err)
		}
		w.progress.now("connection lost, trying again: %s", oneLine(status.Convert(err).Message()))
		pause(limited, watchPause)
	}
}

// listen receives messages until the stream or the deployment ends.
func (w *watch) listen(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := w.clients.deployments.WatchDeployment(ctx, &runwayv1.WatchDeploymentRequest{Id: w.id})
	if err != nil {
		return err
	}
	for !w.ended() {
		message, err := stream.Recv()
		if err != nil {
			return err
		}
		w.take(message)
	}
	return nil
}

// take remembers a message and shows it.
func (w *watch) take(message *runwayv1.WatchDeploymentResponse) {
	w.last, w.heard = message, w.a.Now()
	for _, r := range w.mine() {
		w.started = w.started || r.GetReplica().GetStatus().GetPhase() >= runwayv1.ReplicaPhase_REPLICA_PHASE_STARTING
	}
	if !w.ended() {
		w.progress.now("%s", w.state())
	}
}

// mine are the replicas that this deployment made.
func (w *watch) mine() []*runwayv1.ReplicaView {
	var mine []*runwayv1.ReplicaView
	for _, r := range w.last.GetReplicas() {
		if r.GetReplica().GetDeployment() == w.id {
			mine = append(mine, r)
		}
	}
	return mine
}

// state is the deployment in one line: "rolling: 1 of 3 serving, 1 starting", and while
// it is undone why.
func (w *watch) state() string {
	s := w.last.GetDeployment().GetStatus()
	parts := []string{fmt.Sprintf("%d of %d serving", s.GetServing(), s.GetWanted())}
	counts := map[string]int{}
	for _, r := range w.mine() {
		counts[stage(r.GetReplica())]++
	}
	for _, name := range stages {
		if counts[name] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counts[name], name))
		}
	}
	text := deploymentPhase(s.GetPhase()) + ": " + strings.Join(parts, ", ")
	if cause := s.GetCause(); cause != nil {
		text += " (" + cause.GetCode() + " " + oneLine(cause.GetSummary()) + ")"
	}
	return text
}

// stages of a replica that is not serving yet, in the order of its life.
var stages = []string{"pending", "pulling", "starting", "running", "ready", "stopping", "failed"}

// stage is where a replica is on its way to serving; empty when it arrived or is
// gone.
func stage(r *runwayv1.Replica) string {
	phase := r.GetStatus().GetPhase()
	switch {
	case phase == runwayv1.ReplicaPhase_REPLICA_PHASE_UNSPECIFIED:
		return "pending"
	case phase == runwayv1.ReplicaPhase_REPLICA_PHASE_STOPPED, r.GetRouting().GetServing():
		return ""
	case phase == runwayv1.ReplicaPhase_REPLICA_PHASE_RUNNING && r.GetStatus().GetReady():
		return "ready"
	}
	return replicaPhase(phase)
}

func (w *watch) phase() runwayv1.DeploymentPhase {
	return w.last.GetDeployment().GetStatus().GetPhase()
}

func (w *watch) ended() bool { return terminal(w.phase()) }

func terminal(p runwayv1.DeploymentPhase) bool {
	return p >= runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUCCEEDED
}

// verdict is nil for success, else the failure with the exit code of its phase.
func (w *watch) verdict() error {
	if w.phase() == runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUCCEEDED {
		s := w.last.GetDeployment().GetStatus()
		w.progress.step("%d of %d serving after %s", s.GetServing(), s.GetWanted(), w.took())
		if line := reportLine(w.last.GetDeployment()); line != "" {
			w.progress.step("%s", line)
		}
		return nil
	}
	cause := w.last.GetDeployment().GetStatus().GetCause()
	if cause == nil {
		cause = &runwayv1.Cause{Code: string(code.Internal), Summary: "the deployment ended without a cause"}
	}
	f := causeFailure(cause)
	f.exit = w.exit(f.code)
	f.lines = []string{w.ending()}
	if line := reportLine(w.last.GetDeployment()); line != "" {
		f.lines = append(f.lines, line)
	}
	return f
}

func (w *watch) exit(c code.Code) int {
	nothingStarted := !w.started && exitFor(c) == exitUnplaceable
	switch w.phase() {
	case runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_CANCELLED, runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUPERSEDED:
		return exitOvertaken
	case runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_ROLLED_BACK:
		if !nothingStarted {
			return exitRolledBack
		}
	}
	if nothingStarted {
		return exitUnplaceable
	}
	return exitFailed
}

// ending says how the deployment ended and what serves now.
func (w *watch) ending() string {
	d := w.last.GetDeployment()
	text := fmt.Sprintf("deployment %s of %s %s after %s", w.id, w.a.serviceName(d.GetWorkload()), deploymentPhase(w.phase()), w.took())
	previous := d.GetSpec().GetPreviousRevision()
	switch {
	case w.phase() == runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUPERSEDED:
		return text
	case previous == 0:
		return text + ": no revision serves"
	case w.phase() == runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_ROLLED_BACK || d.GetStatus().GetUndone():
		return fmt.Sprintf("%s: revision %d serves as before", text, previous)
	}
	return fmt.Sprintf("%s: revision %d does not serve as before yet; see runwayctl why %s", text, previous, d.GetWorkload().GetService())
}

func (w *watch) took() string {
	s := w.last.GetDeployment().GetStatus()
	if !s.GetStartedAt().IsValid() || !s.GetEndedAt().IsValid() {
		return "an unknown time"
	}
	return s.GetEndedAt().AsTime().Sub(s.GetStartedAt().AsTime()).Round(100 * time.Millisecond).String()
}

// goesOn ends the wait and not the deployment.
func (w *watch) goesOn(exit int, why string) error {
	return &failure{
		exit: exit, code: code.DeploymentGoesOn,
		summary: fmt.Sprintf("%s; the deployment goes on: runwayctl deployments attach %s", why, w.id),
	}
}

func (w *watch) lost(err error) error {
	f := failureOf(context.Background(), err)
	f.exit = exitUnreachable
	f.fix = fmt.Sprintf("the deployment goes on: runwayctl deployments attach %s", w.id)
	return f
}

// passing says whether a watch that ended with err is worth opening again.
func passing(err error) bool {
	switch status.Code(err) {
	case codes.Unavailable, codes.Aborted, codes.ResourceExhausted, codes.DeadlineExceeded:
		return true
	}
	return err == nil || errors.Is(err, io.EOF) || client.IsNotLeader(err)
}

// pause waits for d or for the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
