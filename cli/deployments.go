package cli

import (
	"context"
	"time"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
	"github.com/spf13/cobra"
)

func (a *app) deploymentsCommand() *cobra.Command {
	var wait waitFlags
	list := &cobra.Command{
		Use: "list SERVICE", Short: "List the deployments of a service", Args: exactly("SERVICE"),
		Long: "List shows the deployments that are kept, oldest first, with phase, revision and author; -o wide adds what\n" +
			"they replaced and why they ended.",
		Example: "  runwayctl deployments list web",
		RunE:    func(cmd *cobra.Command, args []string) error { return a.listDeployments(cmd.Context(), args[0]) },
	}
	show := &cobra.Command{
		Use: "show DEPLOYMENT", Short: "Show one deployment", Args: exactly("DEPLOYMENT"),
		Long: "Show prints one deployment: what it moved to which revision, its phase, its times, and for one that failed\n" +
			"the cause with evidence and fix.",
		Example: "  runwayctl deployments show 01JD3V",
		RunE:    func(cmd *cobra.Command, args []string) error { return a.showDeployment(cmd.Context(), args[0]) },
	}
	attach := &cobra.Command{
		Use: "attach DEPLOYMENT", Short: "Follow a deployment to its end, as deploy does", Args: exactly("DEPLOYMENT"),
		Long: "Attach follows a deployment that goes on after an interrupted or detached deploy, and ends with the exit\n" +
			"code that deploy would have had.",
		Example: "  runwayctl deployments attach 01JD3V",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := wait.check(cmd); err != nil {
				return err
			}
			return a.attach(cmd.Context(), args[0], wait.timeout)
		},
	}
	wait.registerTimeout(attach)
	cancel := &cobra.Command{
		Use: "cancel DEPLOYMENT", Short: "Cancel a deployment; the revision before it serves on", Args: exactly("DEPLOYMENT"),
		Long: "Cancel ends a deployment in progress: its replicas go and the revision before it is made whole again. See the\n" +
			"end with: runwayctl deployments attach DEPLOYMENT.",
		Example: "  runwayctl deployments cancel 01JD3V",
		RunE:    func(cmd *cobra.Command, args []string) error { return a.cancelDeployment(cmd.Context(), args[0]) },
	}
	report := &cobra.Command{
		Use: "report DEPLOYMENT", Short: "Show what was served during a deployment", Args: exactly("DEPLOYMENT"),
		Long:    "Report shows how many requests the ingresses answered while a deployment was in\nprogress, by which revision, and how many failed.",
		Example: "  runwayctl deployments report 01JD3V",
		RunE:    func(cmd *cobra.Command, args []string) error { return a.showReport(cmd.Context(), args[0]) },
	}
	return noun("deployments", "List, show, follow and cancel deployments", list, show, attach, cancel, report)
}

func (a *app) listDeployments(ctx context.Context, service string) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	reply, err := ask(ctx, c.deployments.ListDeployments, &runwayv1.ListDeploymentsRequest{Workload: a.key(service)})
	if err != nil {
		return err
	}
	return a.show(reply, func(t *table) {
		t.head(append([]string{"DEPLOYMENT", "PHASE", "REVISION", "STRATEGY", "AGE", "BY", "MESSAGE"}, t.only("FROM", "CAUSE")...)...)
		for _, d := range reply.GetDeployments() {
			t.row(append([]string{
				d.GetId(), deploymentPhase(d.GetStatus().GetPhase()), number(d.GetSpec().GetRevision()), d.GetSpec().GetStrategy(),
				a.age(d.GetMeta().GetCreatedAt()), d.GetSpec().GetCreatedBy(), d.GetSpec().GetMessage(),
			}, t.only(number(d.GetSpec().GetPreviousRevision()), d.GetStatus().GetCause().GetCode()+" "+d.GetStatus().GetCause().GetSummary())...)...)
		}
	})
}

func (a *app) showDeployment(ctx context.Context, id string) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	d, err := ask(ctx, c.deployments.GetDeployment, &runwayv1.GetDeploymentRequest{Id: id})
	if err != nil {
		return err
	}
	return a.show(d, func(t *table) {
		t.row("deployment", d.GetId())
		t.row("service", d.GetWorkload().GetSpace()+"/"+d.GetWorkload().GetService())
		t.row("environment", d.GetWorkload().GetEnvironment())
		t.row("phase", deploymentPhase(d.GetStatus().GetPhase()))
		t.row("revision", number(d.GetSpec().GetRevision()))
		t.row("previous revision", nonZero(int64(d.GetSpec().GetPreviousRevision())))
		t.row("strategy", d.GetSpec().GetStrategy())
		t.row("by", d.GetSpec().GetCreatedBy())
		t.row("message", d.GetSpec().GetMessage())
		t.row("started", stamp(d.GetStatus().GetStartedAt()))
		t.row("ended", stamp(d.GetStatus().GetEndedAt()))
		if line := reportLine(d); line != "" {
			t.row("report", line)
		}
		if cause := d.GetStatus().GetCause(); cause != nil {
			t.text("")
			explain(t, cause)
		}
	})
}

// attach follows a deployment that somebody started earlier.
func (a *app) attach(ctx context.Context, id string, timeout time.Duration) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	d, err := ask(ctx, c.deployments.GetDeployment, &runwayv1.GetDeploymentRequest{Id: id})
	if err != nil {
		return err
	}
	w := a.newWatch(c, d)
	if service, err := ask(ctx, c.services.GetService, &runwayv1.GetServiceRequest{Workload: d.GetWorkload()}); err == nil {
		w.urls = service.GetUrls()
	}
	return a.showResult(w, nil, w.follow(ctx, timeout))
}

func (a *app) cancelDeployment(ctx context.Context, id string) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	d, err := ask(ctx, c.deployments.CancelDeployment, &runwayv1.CancelDeploymentRequest{Id: id})
	if err != nil {
		return err
	}
	return a.show(d, func(t *table) { t.text("deployment " + d.GetId() + " is being cancelled") })
}
