package cli

import (
	"context"

	"github.com/oklog/ulid/v2"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
	"github.com/spf13/cobra"
)

// rollbackFlags are the flags of `rollback`.
type rollbackFlags struct {
	to      uint64
	message string
	wait    waitFlags
}

func (a *app) rollbackCommand() *cobra.Command {
	var flags rollbackFlags
	cmd := &cobra.Command{
		Use:   "rollback SERVICE",
		Short: "Go back to the revision that served before, or to the one that is named",
		Long: "Rollback deploys a revision again that exists already: the one that served before the one\n" +
			"that serves now, whatever failed in between, or the one that --to names. Its bounds of\n" +
			"instances come with it.",
		Example: "  runwayctl rollback web\n" +
			"  runwayctl rollback web --to 7 -m 'checkout is broken'",
		Args: exactly("SERVICE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("to") && flags.to == 0 {
				return usagef(cmd, "--to 0 is no revision")
			}
			if err := flags.wait.check(cmd); err != nil {
				return err
			}
			return a.rollback(cmd.Context(), args[0], flags)
		},
	}
	cmd.Flags().Uint64Var(&flags.to, "to", 0, "revision to go back to")
	cmd.Flags().StringVarP(&flags.message, "message", "m", "", "why, for the history")
	flags.wait.register(cmd)
	return cmd
}

func (a *app) rollback(ctx context.Context, service string, flags rollbackFlags) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	steps := a.newProgress()
	defer steps.clear()
	request := &runwayv1.RollbackRequest{
		Workload: a.key(service), Revision: flags.to, Message: flags.message, IdempotencyKey: ulid.Make().String(),
	}
	reply, err := submit(ctx, service, func(ctx context.Context) (*runwayv1.DeployResponse, error) {
		return c.services.Rollback(ctx, request)
	})
	if err != nil {
		return err
	}
	steps.step("back to revision %d, image %s", reply.GetRevision().GetNumber(), shortImage(reply.GetRevision().GetSpec().GetImage()))
	return a.await(ctx, c, reply, flags.wait)
}
