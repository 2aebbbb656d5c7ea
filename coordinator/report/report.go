// Package report writes down what the ingresses served during each deployment: by
// which revision, and how many requests failed. The counts are in the leader's
// memory; when a deployment has ended and every live ingress has said what it served
// until then, they become part of the deployment. It decides nothing about it.
package report

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/runway-platform/runway/coordinator/fleet"
	"github.com/runway-platform/runway/coordinator/loop"
	"github.com/runway-platform/runway/coordinator/presence"
	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

const (
	// Patience is how long an ingress may take to answer. One that does not is named
	// in the report, for which people wait.
	Patience = time.Second
	// resync is how late the end of that patience may be noticed.
	resync = 200 * time.Millisecond
)

// tallies is where the counts are.
type tallies interface {
	OpenTally(deployment string, workload state.WorkloadID, start time.Time)
	CloseTally(deployment string, ingresses []string, now time.Time)
	DropTally(deployment string)
	Tallies() map[string]presence.Tally
	TallySettled() <-chan struct{}
}

// Config of the report controller.
type Config struct {
	Views   func() *state.View
	Applier loop.Applier
	Tallies tallies
	Log     *slog.Logger
}

// Controller is the report loop of the leader.
type Controller struct{ config Config }

// New returns a controller that does nothing until Run.
func New(config Config) *Controller { return &Controller{config: config} }

// Run writes reports until ctx ends.
func (c *Controller) Run(ctx context.Context) error {
	return loop.Run(ctx, loop.Config{
		Name:    "report",
		Views:   c.config.Views,
		Tables:  []state.Table{state.TableDeployments},
		Wake:    c.config.Tallies.TallySettled,
		Resync:  resync,
		Plan:    c.plan,
		Applier: c.config.Applier,
		Log:     c.config.Log,
	})
}

// plan counts for every deployment in progress, closes the tallies of those that have
// ended, and returns the reports of the tallies that are complete.
func (c *Controller) plan(view *state.View, now time.Time) []proto.Message {
	for _, d := range view.ActiveDeployments() {
		c.config.Tallies.OpenTally(d.GetId(), state.IDOf(d.GetWorkload()), d.GetMeta().GetCreatedAt().AsTime())
	}
	all := c.config.Tallies.Tallies()
	var commands []proto.Message
	for _, id := range slices.Sorted(maps.Keys(all)) {
		if report := c.move(view, id, all[id], now); report != nil {
			commands = append(commands, &runwayv1.RecordDeploymentReport{Deployment: id, Report: report})
		}
	}
	return commands
}

// move brings one tally a step further and returns its report when it is complete.
func (c *Controller) move(view *state.View, id string, t presence.Tally, now time.Time) *runwayv1.DeploymentReport {
	d := view.Deployment(id)
	switch {
	case d == nil || d.GetReport() != nil:
		c.config.Tallies.DropTally(id)
	case !state.Ended(d.GetStatus().GetPhase()):
	case t.Closed.IsZero():
		c.config.Tallies.CloseTally(id, live(view), now)
	case len(t.Unanswered) == 0 || now.Sub(t.Closed) >= Patience:
		return reportOf(view, t, now)
	}
	return nil
}

func live(view *state.View) []string {
	var ids []string
	for _, i := range view.Ingresses() {
		if fleet.Live(i) {
			ids = append(ids, i.GetId())
		}
	}
	return ids
}

func reportOf(view *state.View, t presence.Tally, now time.Time) *runwayv1.DeploymentReport {
	report := &runwayv1.DeploymentReport{
		Since: timestamppb.New(t.Since), Until: timestamppb.New(now), Incomplete: incomplete(view, t),
	}
	for _, number := range slices.Sorted(maps.Keys(t.Revisions)) {
		served := t.Revisions[number]
		if served.Requests == 0 {
			continue
		}
		report.Requests += served.Requests
		report.Failed += served.Failed
		report.Revisions = append(report.Revisions, &runwayv1.RevisionRequests{
			Revision: number, Requests: served.Requests, Failed: served.Failed,
		})
	}
	return report
}

// incomplete names the ingresses whose counts may be wrong: those that did not answer,
// whose session broke, that counted from before the start, and those that are lost, of
// which nobody knows what they serve.
func incomplete(view *state.View, t presence.Tally) []string {
	ids := map[string]bool{}
	for _, id := range append(t.Unanswered, t.Interrupted...) {
		ids[id] = true
	}
	for _, i := range view.Ingresses() {
		if i.GetStatus().GetPhase() == runwayv1.IngressPhase_INGRESS_PHASE_LOST {
			ids[i.GetId()] = true
		}
	}
	var names []string
	for id := range ids {
		names = append(names, nameOf(view, id))
	}
	slices.Sort(names)
	return names
}

// nameOf is how people know an ingress; its ID when it was removed.
func nameOf(view *state.View, id string) string {
	if name := view.Ingress(id).GetName(); name != "" {
		return name
	}
	return id
}
