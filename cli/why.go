package cli

import (
	"context"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
	"github.com/spf13/cobra"
)

func (a *app) whyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "why SERVICE",
		Short: "Explain why a service is as it is",
		Long: "Why shows the causes of the present state, the root cause first, with evidence and what to do: a deployment that\n" +
			"failed, replicas that find no place, do not start or are not ready, nodes and ingresses that are away, names without\n" +
			"a route, and of the requests of the last minute those that no replica took (502, 503), that failed or that were slow.",
		Example: "  runwayctl why web",
		Args:    exactly("SERVICE"),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.why(cmd.Context(), args[0]) },
	}
}

func (a *app) why(ctx context.Context, service string) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	reply, err := ask(ctx, c.services.Why, &runwayv1.WhyRequest{Workload: a.key(service)})
	if err != nil {
		return err
	}
	return a.show(reply, func(t *table) {
		t.text(reply.GetSummary())
		for _, cause := range reply.GetCauses() {
			t.text("")
			explain(t, cause)
		}
		if line := a.deploymentLine(reply.GetDeployment()); line != "" {
			t.text("")
			t.text("deployment " + line)
		}
	})
}

// explain shows one cause: code and summary, the evidence, the fix.
func explain(t *table, cause *runwayv1.Cause) {
	t.text(cause.GetCode() + " " + oneLine(cause.GetSummary()))
	for _, line := range cause.GetEvidence() {
		t.text("  | " + line)
	}
	if cause.GetFix() != "" {
		t.text("  fix: " + oneLine(cause.GetFix()))
	}
}
