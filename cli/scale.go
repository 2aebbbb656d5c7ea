package cli

import (
	"context"
	"fmt"
	"strconv"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
	"github.com/spf13/cobra"
)

func (a *app) scaleCommand() *cobra.Command {
	var region string
	cmd := &cobra.Command{
		Use:   "scale SERVICE COUNT",
		Short: "Set how many replicas a service has",
		Long: "Scale pins the number of replicas, within the bounds of instances of the serving revision. The pin holds\n" +
			"over deployments until the next scale.",
		Example: "  runwayctl scale web 6",
		Args:    exactly("SERVICE", "COUNT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := strconv.ParseUint(args[1], 10, 32)
			if err != nil {
				return usagef(cmd, "COUNT %q is not a whole number", args[1])
			}
			return a.scale(cmd.Context(), args[0], uint32(n), region)
		},
	}
	cmd.Flags().StringVar(&region, "region", "", "region, when there are several")
	return cmd
}

func (a *app) scale(ctx context.Context, service string, replicas uint32, region string) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	reply, err := ask(ctx, c.services.Scale, &runwayv1.ScaleRequest{Workload: a.key(service), Count: replicas, Region: region})
	if err != nil {
		return err
	}
	return a.show(reply, func(t *table) {
		w := reply.GetWanted()
		t.text(fmt.Sprintf("%s in %s: %d wanted, %d before", a.serviceName(w.GetWorkload()), w.GetRegion(), w.GetCount(), reply.GetBefore()))
	})
}
