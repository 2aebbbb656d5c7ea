package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// app is one run of runwayctl: its process, global flags and connection.
type app struct {
	Process
	globals globals
	conn    Conn
}

// root builds the tree of commands.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "runwayctl",
		Short: "Deploy and look after services on Runway",
		Long: "runwayctl deploys services to a Runway cluster and shows how they are.\n\n" +
			"Exit codes: 0 done, 1 usage or client error, 2 rejected, 4 failed and rolled back, 5 failed,\n" +
			"6 still running, 7 unplaceable, 8 unreachable, 9 permission denied, 10 conflict,\n" +
			"11 superseded or cancelled, 130 interrupted.",
		Example:       "  runwayctl deploy web --image registry.example.com/web:1.4\n  runwayctl status\n  runwayctl why web",
		SilenceErrors: true, SilenceUsage: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Name() == cobra.ShellCompRequestCmd {
				return nil // the flags of the line that is typed are settled when names are wanted
			}
			return a.globals.settle(a.Process, cmd)
		},
	}
	a.globals.register(root)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usagef(cmd, "%v", err) })
	root.AddGroup(
		&cobra.Group{ID: groupDaily, Title: "Daily work:"},
		&cobra.Group{ID: groupAdmin, Title: "Administration:"},
	)
	addTo(root, groupDaily,
		a.initCommand(), a.deployCommand(), a.statusCommand(), a.psCommand(), a.topCommand(), a.logsCommand(), a.eventsCommand(), a.whyCommand(),
		a.revisionsCommand(), a.rollbackCommand(), a.scaleCommand(), a.restartCommand(), a.deleteCommand(), a.validateCommand(), a.manifestCommand(), a.envCommand(), a.deploymentsCommand())
	addTo(root, groupAdmin,
		a.spacesCommand(), a.nodesCommand(), a.ingressesCommand(), a.routesCommand(), a.tokensCommand(), a.clusterCommand(), a.contextCommand(), a.completionCommand(), a.doctorCommand(), a.versionCommand())
	a.complete(root)
	return root
}

const (
	groupDaily = "daily"
	groupAdmin = "admin"
)

func addTo(root *cobra.Command, group string, commands ...*cobra.Command) {
	for _, c := range commands {
		c.GroupID = group
		root.AddCommand(c)
	}
}

// noun is a command that only holds others.
func noun(use, short string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, RunE: func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usagef(cmd, "unknown command %q for %q", args[0], cmd.CommandPath())
		}
		return usagef(cmd, "%s needs a command", cmd.CommandPath())
	}}
	c.AddCommand(commands...)
	c.Example = firstExamples(commands)
	return c
}

// firstExamples is one example of each command.
func firstExamples(commands []*cobra.Command) string {
	var lines []string
	for _, c := range commands {
		line, _, _ := strings.Cut(c.Example, "\n")
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// exactly demands arguments by name, so that the message can say which is missing.
func exactly(names ...string) cobra.PositionalArgs { return between(len(names), names...) }

// between allows the arguments after the first required ones to be left out.
func between(required int, names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < required {
			return usagef(cmd, "%s is missing", names[len(args)])
		}
		if len(args) > len(names) {
			return usagef(cmd, "unexpected argument %q", args[len(names)])
		}
		return nil
	}
}

func usagef(cmd *cobra.Command, format string, args ...any) error {
	return &failure{
		exit: exitUsage, code: usageCode, summary: fmt.Sprintf(format, args...),
		fix: fmt.Sprintf("see `%s --help`", cmd.CommandPath()),
	}
}
