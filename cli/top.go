package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"
)

func (a *app) topCommand() *cobra.Command {
	var allSpaces bool
	cmd := &cobra.Command{
		Use: "top", Short: "Show which services are asked most, and how they answer", Args: exactly(),
		Long: "Top shows what the ingresses served of each service within the last minute: requests per second, how many\n" +
			"replicas failed (FAILED: 500 and above), how many no replica took (UNSERVED: 502 and 503 of the ingress), and\n" +
			"what half (P50) and 99 of 100 (P99) did not take longer than, in the steps of a histogram. The most asked\n" +
			"comes first. The counts are in the leader's memory and begin again after an election. What replicas use of\n" +
			"processors and memory is a metric of the agents: runway_agent_workload_*.",
		Example: "  runwayctl top\n  runwayctl top --all-spaces -e production",
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.top(cmd.Context(), allSpaces) },
	}
	cmd.Flags().BoolVar(&allSpaces, "all-spaces", false, "services of all spaces")
	return cmd
}

func (a *app) top(ctx context.Context, allSpaces bool) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	request := &runwayv1.ListTrafficRequest{Space: a.globals.space}
	if allSpaces {
		request.Space = ""
	}
	if a.globals.environmentNamed {
		request.Environment = a.globals.environment
	}
	reply, err := ask(ctx, c.services.ListTraffic, request)
	if err != nil {
		return err
	}
	slices.SortStableFunc(reply.GetServices(), func(x, y *runwayv1.Traffic) int { return cmp.Compare(rate(y), rate(x)) })
	return a.show(reply, func(t *table) {
		if len(reply.GetServices()) == 0 {
			t.text("No services.")
			return
		}
		t.head("SERVICE", "ENVIRONMENT", "REQUESTS/S", "FAILED", "UNSERVED", "P50", "P99")
		for _, s := range reply.GetServices() {
			t.row(a.serviceName(s.GetWorkload()), s.GetWorkload().GetEnvironment(), fmt.Sprintf("%.1f", rate(s)),
				portion(s.GetFailed(), s.GetRequests()), portion(s.GetUnserved(), s.GetRequests()), within(s.GetP50(), s), within(s.GetP99(), s))
		}
		t.text("")
		t.text("of the last " + reply.GetServices()[0].GetCovers().AsDuration().Round(time.Second).String() + ", as the ingresses counted")
	})
}

// rate is requests per second.
func rate(t *runwayv1.Traffic) float64 {
	seconds := t.GetCovers().AsDuration().Seconds()
	if seconds <= 0 {
		return 0
	}
	return float64(t.GetRequests()) / seconds
}

// portion is a part of requests: "12 (3.1 %)".
func portion(part, of uint64) string {
	if part == 0 {
		return "0"
	}
	return fmt.Sprintf("%s (%.1f %%)", thousands(part), 100*float64(part)/float64(of))
}

// within is a latency that was not exceeded.
func within(bound *durationpb.Duration, t *runwayv1.Traffic) string {
	switch {
	case t.GetRequests() == 0:
		return ""
	case bound == nil:
		bounds := runwayv1.LatencyBounds()
		return "> " + bounds[len(bounds)-1].String()
	}
	return bound.AsDuration().String()
}
