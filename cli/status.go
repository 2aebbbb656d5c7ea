package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
	"github.com/spf13/cobra"
)

func (a *app) statusCommand() *cobra.Command {
	var allSpaces bool
	cmd := &cobra.Command{
		Use:   "status [SERVICE]",
		Short: "Show services and how they are",
		Long: "Status lists the services of the space in every environment, with how many replicas serve, or shows one\n" +
			"service in full. What is behind a bad state: runwayctl why SERVICE.",
		Example: "  runwayctl status\n  runwayctl status web -o json\n  runwayctl status --all-spaces",
		Args:    between(0, "SERVICE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				return a.statusOf(cmd.Context(), args[0])
			}
			return a.statusAll(cmd.Context(), allSpaces)
		},
	}
	cmd.Flags().BoolVar(&allSpaces, "all-spaces", false, "services of all spaces")
	return cmd
}

// statusAll lists the services of the space in every environment, or in the one
// that the user named.
func (a *app) statusAll(ctx context.Context, allSpaces bool) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	request := &runwayv1.ListServicesRequest{Space: a.globals.space}
	if allSpaces {
		request.Space = ""
	}
	if a.globals.environmentNamed {
		request.Environment = a.globals.environment
	}
	reply, err := ask(ctx, c.services.ListServices, request)
	if err != nil {
		return err
	}
	return a.show(reply, func(t *table) {
		if len(reply.GetServices()) == 0 {
			t.text("No services in " + describeScope(request) + ".")
			return
		}
		t.head(append([]string{"SERVICE", "ENVIRONMENT", "STATE", "SERVING", "REVISION", "URL"}, t.only("INTERNAL NAME", "IMAGE")...)...)
		for _, s := range reply.GetServices() {
			t.row(append([]string{
				a.serviceName(s.GetWorkload().GetKey()), s.GetWorkload().GetKey().GetEnvironment(), serviceState(s),
				fmt.Sprintf("%d/%d", s.GetServing(), s.GetWanted()), number(s.GetRevision().GetNumber()), firstOf(s.GetUrls()),
			}, t.only(s.GetInternalName(), shortImage(s.GetRevision().GetSpec().GetImage()))...)...)
		}
	})
}

func describeScope(r *runwayv1.ListServicesRequest) string {
	scope := "any space"
	if r.GetSpace() != "" {
		scope = "space " + r.GetSpace()
	}
	if r.GetEnvironment() != "" {
		scope += ", environment " + r.GetEnvironment()
	}
	return scope
}

// serviceState is one word for how a service is.
func serviceState(s *runwayv1.ServiceView) string {
	phase := s.GetDeployment().GetStatus().GetPhase()
	switch {
	case s.GetWorkload().GetDelete():
		return "deleting"
	case s.GetDeployment() != nil && !terminal(phase):
		return "deploying"
	case s.GetWorkload().GetServingRevision() == 0:
		return "failed"
	case s.GetServing() < s.GetWanted():
		return "degraded"
	}
	return "healthy"
}

// statusOf shows one service with its last deployment.
func (a *app) statusOf(ctx context.Context, service string) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	s, err := ask(ctx, c.services.GetService, &runwayv1.GetServiceRequest{Workload: a.key(service)})
	if err != nil {
		return err
	}
	return a.show(s, func(t *table) {
		key := s.GetWorkload().GetKey()
		t.row("service", key.GetSpace()+"/"+key.GetService())
		t.row("environment", key.GetEnvironment())
		t.row("state", serviceState(s))
		t.row("replicas", fmt.Sprintf("%d wanted, %d running, %d ready, %d serving", s.GetWanted(), s.GetReplicas(), s.GetReady(), s.GetServing()))
		t.row("revision", fmt.Sprintf("%d (serving %d)", s.GetRevision().GetNumber(), s.GetWorkload().GetServingRevision()))
		t.row("image", shortImage(s.GetRevision().GetSpec().GetImage()))
		t.row("resources", resourcesOf(s.GetRevision().GetSpec()))
		if labels := s.GetRevision().GetSpec().GetLabels(); len(labels) > 0 {
			t.row("labels", labelsOf(labels))
		}
		t.row("url", strings.Join(s.GetUrls(), " "))
		t.row("internal name", s.GetInternalName())
		t.row("deployment", a.deploymentLine(s.GetDeployment()))
		if cause := s.GetDeployment().GetStatus().GetCause(); cause != nil {
			t.row("cause", cause.GetCode()+" "+cause.GetSummary())
		}
	})
}

// labelsOf are the owners that the manifest names, in the order of their names.
func labelsOf(labels map[string]string) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		all = append(all, name+"="+labels[name])
	}
	return strings.Join(all, " ")
}

func resourcesOf(spec *runwayv1.RevisionSpec) string {
	r := spec.GetResources()
	return fmt.Sprintf("cpu %s (%s reserved), memory %s", cores(r.GetCpuLimitMilli()), cores(r.GetCpuRequestMilli()), size(r.GetMemoryBytes()))
}

// deploymentLine is a deployment in one line; empty when there is none.
func (a *app) deploymentLine(d *runwayv1.Deployment) string {
	if d == nil {
		return ""
	}
	line := fmt.Sprintf("%s %s", d.GetId(), deploymentPhase(d.GetStatus().GetPhase()))
	if age := a.age(d.GetMeta().GetCreatedAt()); age != "" {
		line += ", " + age + " ago"
	}
	if by := d.GetSpec().GetCreatedBy(); by != "" {
		line += " by " + by
	}
	return line
}
