package cli

import (
	"context"
	"fmt"
	"strings"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
	"github.com/spf13/cobra"
)

// defaultEvents is a screen full.
const defaultEvents = 50

func (a *app) eventsCommand() *cobra.Command {
	var follow, cluster bool
	var limit uint32
	cmd := &cobra.Command{
		Use:     "events [SERVICE]",
		Short:   "Show what happened",
		Long:    "Events prints the newest events, oldest first. With -o json each event is a document.",
		Example: "  runwayctl events -f\n  runwayctl events web -n 10\n  runwayctl events --cluster",
		Args:    between(0, "SERVICE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.events(cmd.Context(), firstOf(args), &runwayv1.ListEventsRequest{Follow: follow, Limit: limit}, cluster)
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with new events")
	cmd.Flags().Uint32VarP(&limit, "limit", "n", defaultEvents, "number of events")
	cmd.Flags().BoolVar(&cluster, "cluster", false, "of all spaces, nodes and ingresses")
	return cmd
}

func (a *app) events(ctx context.Context, service string, request *runwayv1.ListEventsRequest, cluster bool) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	request.Workload = a.key(service)
	if service == "" && !a.globals.environmentNamed {
		request.Workload.Environment = ""
	}
	if cluster {
		request.Workload = &runwayv1.WorkloadKey{}
	}
	open := func(ctx context.Context) (receiver[*runwayv1.ListEventsResponse], error) {
		return c.events.ListEvents(ctx, request)
	}
	return stream(ctx, a, request.GetFollow(), open, func(answer *runwayv1.ListEventsResponse) error {
		request.AfterIndex, request.Incarnation = answer.GetIndex(), answer.GetIncarnation()
		if answer.GetGap() {
			a.warn("events between these were forgotten: there were too many")
		}
		for _, event := range answer.GetEvents() {
			if err := a.printEvent(event); err != nil {
				return err
			}
		}
		return nil
	})
}

// printEvent writes one line at once, in columns of fixed width: the next one may
// come much later.
func (a *app) printEvent(e *runwayv1.Event) error {
	if a.structured() {
		return a.showLine(e)
	}
	message := e.GetMessage()
	if e.GetCode() != "" {
		message = e.GetCode() + " " + message
	}
	line := fmt.Sprintf("%s  %-22s  %-24s  %s", stamp(e.GetAt()), e.GetKind(), a.subject(e), oneLine(message))
	_, err := fmt.Fprintln(a.Stdout, strings.TrimRight(line, " "))
	return err
}

// subject is what an event is about, most specific last.
func (a *app) subject(e *runwayv1.Event) string {
	var parts []string
	if e.GetWorkload().GetService() != "" {
		parts = append(parts, a.serviceName(e.GetWorkload()))
	}
	for _, id := range []string{e.GetReplica(), e.GetNode(), e.GetIngress()} {
		if id != "" {
			parts = append(parts, id)
		}
	}
	if len(parts) == 0 {
		parts = append(parts, firstNonEmpty(e.GetDeployment(), "cluster"))
	}
	return strings.Join(parts, " ")
}
