package cli

import (
	"context"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
	"github.com/spf13/cobra"
)

func (a *app) revisionsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "revisions SERVICE",
		Short: "List the revisions of a service",
		Long: "Revisions lists what was deployed, oldest first, with image and author, and marks the one that serves.\n" +
			"Each can be deployed again: runwayctl rollback SERVICE --to REVISION.",
		Example: "  runwayctl revisions web -o wide",
		Args:    exactly("SERVICE"),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.revisions(cmd.Context(), args[0]) },
	}
}

func (a *app) revisions(ctx context.Context, service string) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	reply, err := ask(ctx, c.services.ListRevisions, &runwayv1.ListRevisionsRequest{Workload: a.key(service)})
	if err != nil {
		return err
	}
	return a.show(reply, func(t *table) {
		t.head(append([]string{"REVISION", "SERVING", "IMAGE", "AGE", "BY", "MESSAGE"}, t.only("RESOURCES", "REFERENCE")...)...)
		for _, r := range reply.GetRevisions() {
			serving := ""
			if r.GetNumber() == reply.GetServing() {
				serving = "yes"
			}
			t.row(append([]string{
				number(r.GetNumber()), serving, shortImage(r.GetSpec().GetImage()), a.age(r.GetMeta().GetCreatedAt()), r.GetCreatedBy(), r.GetMessage(),
			}, t.only(resourcesOf(r.GetSpec()), r.GetSpec().GetImage().GetReference())...)...)
		}
	})
}
