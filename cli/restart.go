package cli

import (
	"context"

	"github.com/oklog/ulid/v2"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
	"github.com/spf13/cobra"
)

func (a *app) restartCommand() *cobra.Command {
	var message string
	var wait waitFlags
	cmd := &cobra.Command{
		Use:   "restart SERVICE",
		Short: "Replace every replica by a new one of the same revision",
		Long: "Restart deploys the serving revision again: new replicas take over before the present ones stop, as in a\n" +
			"deployment. It follows to the end, as deploy does.",
		Example: "  runwayctl restart web -m 'new upstream address'",
		Args:    exactly("SERVICE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := wait.check(cmd); err != nil {
				return err
			}
			return a.restart(cmd.Context(), args[0], message, wait)
		},
	}
	cmd.Flags().StringVarP(&message, "message", "m", "", "why, for the history")
	wait.register(cmd)
	return cmd
}

func (a *app) restart(ctx context.Context, service, message string, wait waitFlags) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	request := &runwayv1.RestartRequest{Workload: a.key(service), Message: message, IdempotencyKey: ulid.Make().String()}
	reply, err := submit(ctx, service, func(ctx context.Context) (*runwayv1.DeployResponse, error) {
		return c.services.Restart(ctx, request)
	})
	if err != nil {
		return err
	}
	return a.await(ctx, c, reply, wait)
}
