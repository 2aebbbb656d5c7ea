package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"
)

type logFlags struct {
	follow, previous bool
	tail             uint32
	since, replica   string
}

func (a *app) logsCommand() *cobra.Command {
	var flags logFlags
	cmd := &cobra.Command{
		Use:   "logs SERVICE",
		Short: "Show what the replicas of a service write",
		Long:  "Logs prints the lines of all replicas, each after the replica's ID; -o wide adds the time.\nWith -o json each line is a document.",
		Example: "  runwayctl logs web -f\n  runwayctl logs web -n 100 --since 10m\n" +
			"  runwayctl logs web --previous --replica web-3kf9",
		Args: exactly("SERVICE"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.logs(cmd.Context(), cmd, flags, args[0]) },
	}
	f := cmd.Flags()
	f.BoolVarP(&flags.follow, "follow", "f", false, "go on with new lines")
	f.Uint32VarP(&flags.tail, "tail", "n", 0, "only the last lines of each replica (0: all)")
	f.StringVar(&flags.since, "since", "", "only lines after a time, or of the last duration such as 10m")
	f.BoolVar(&flags.previous, "previous", false, "of the attempt before a restart")
	f.StringVar(&flags.replica, "replica", "", "of one replica")
	return cmd
}

func (a *app) logs(ctx context.Context, cmd *cobra.Command, flags logFlags, service string) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	since, err := a.sinceTime(cmd, flags.since)
	if err != nil {
		return err
	}
	request := &runwayv1.LogsRequest{
		Workload: a.key(service), Replica: flags.replica, After: map[string]*runwayv1.LogPosition{},
		Options: &runwayv1.LogOptions{Follow: flags.follow, Tail: flags.tail, Since: since, Previous: flags.previous},
	}
	printed := &logPrinter{app: a, positions: request.After}
	open := func(ctx context.Context) (receiver[*runwayv1.LogsResponse], error) {
		return c.services.Logs(ctx, request)
	}
	if err := stream(ctx, a, flags.follow, open, printed.take); err != nil {
		return err
	}
	return printed.verdict()
}

// sinceTime reads a duration before now, or a time; empty means from the beginning.
func (a *app) sinceTime(cmd *cobra.Command, since string) (*timestamppb.Timestamp, error) {
	if since == "" {
		return nil, nil
	}
	if d, err := time.ParseDuration(since); err == nil && d > 0 {
		return timestamppb.New(a.Now().Add(-d)), nil
	}
	if t, err := time.Parse(time.RFC3339, since); err == nil {
		return timestamppb.New(t), nil
	}
	return nil, usagef(cmd, "--since %q is neither a duration such as 10m nor a time such as 2006-01-02T15:04:05Z", since)
}

// logPrinter prints lines and remembers where each replica was, to go on from there.
type logPrinter struct {
	*app
	positions map[string]*runwayv1.LogPosition
	printed   int
	problem   string
}

// take prints a message. A replica whose lines cannot be had is a warning.
func (p *logPrinter) take(message *runwayv1.LogsResponse) error {
	if problem := message.GetProblem(); problem != "" {
		p.problem = problem
		p.warn(problem)
	}
	for _, line := range message.GetLines() {
		p.printed++
		p.advance(line)
		if err := p.printLogLine(line); err != nil {
			return err
		}
	}
	return nil
}

func (p *logPrinter) advance(line *runwayv1.LogLine) {
	position := p.positions[line.GetReplica()]
	if position == nil || !position.GetAt().AsTime().Equal(line.GetAt().AsTime()) {
		position = &runwayv1.LogPosition{At: line.GetAt()}
		p.positions[line.GetReplica()] = position
	}
	position.Lines++
}

// verdict is a failure when nothing but problems came.
func (p *logPrinter) verdict() error {
	if p.printed == 0 && p.problem != "" {
		return fail(code.LogsUnavailable, "%s", p.problem)
	}
	return nil
}

func (a *app) printLogLine(line *runwayv1.LogLine) error {
	if a.structured() {
		return a.showLine(line)
	}
	prefix := line.GetReplica()
	if a.wide() {
		prefix = line.GetAt().AsTime().UTC().Format("2006-01-02T15:04:05.000Z") + " " + prefix
	}
	if line.GetLate() {
		prefix += " (late)"
	}
	_, err := fmt.Fprintf(a.Stdout, "%s | %s\n", prefix, line.GetText())
	return err
}
