package cli

import (
	"context"
	"fmt"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
	"github.com/spf13/cobra"
)

func (a *app) deleteCommand() *cobra.Command {
	var detach bool
	cmd := &cobra.Command{
		Use:   "delete SERVICE",
		Short: "Delete a service and everything it has in this environment",
		Long: "Delete removes the service's replicas, routes, names, revisions and history in one environment, after a\n" +
			"question, and waits until they are gone. Its other environments stay.",
		Example: "  runwayctl delete web -e staging -y",
		Args:    exactly("SERVICE"),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.delete(cmd.Context(), cmd, args[0], detach) },
	}
	cmd.Flags().BoolVar(&detach, "detach", false, "do not wait until it is gone")
	return cmd
}

func (a *app) delete(ctx context.Context, cmd *cobra.Command, service string, detach bool) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	key := a.key(service)
	name := fmt.Sprintf("%s/%s in %s", key.GetSpace(), service, key.GetEnvironment())
	if err := a.confirm(cmd, "delete "+name+" with its replicas, addresses and history"); err != nil {
		return err
	}
	if _, err := ask(ctx, c.services.DeleteService, &runwayv1.DeleteServiceRequest{Workload: key}); err != nil {
		return err
	}
	if detach {
		return a.showDone("deleting", name)
	}
	err = a.until(ctx, name+" is being deleted", func(ctx context.Context) (look, error) {
		_, err := ask(ctx, c.services.GetService, &runwayv1.GetServiceRequest{Workload: key})
		return look{done: isNotFound(err)}, unless(isNotFound(err), err)
	})
	if err != nil {
		return err
	}
	return a.showDone("deleted", name)
}
