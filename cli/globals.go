package cli

import (
	"slices"
	"strings"

	"github.com/runway-platform/runway/cli/config"
	"github.com/spf13/cobra"
)

// Formats of the answer.
const (
	formatTable = "table"
	formatWide  = "wide"
	formatJSON  = "json"
	formatYAML  = "yaml"
)

var formats = []string{formatTable, formatWide, formatJSON, formatYAML}

// Names used when neither flag, variable nor context names one.
const (
	defaultSpace       = "default"
	defaultEnvironment = "production"
)

// globals are the flags of every command. Each has a variable: RUNWAY_ and its
// name in capitals.
type globals struct {
	space, environment           string
	context, config, tokenFile   string
	output                       string
	yes, quiet, verbose          bool
	noHeaders                    bool
	spaceNamed, environmentNamed bool
	// clusterNamed is true when a flag says which cluster is meant, tokenNamed when
	// one says which token.
	clusterNamed, tokenNamed bool
}

func (g *globals) register(root *cobra.Command) {
	f := root.PersistentFlags()
	f.StringVarP(&g.space, "space", "s", "", "space (default \""+defaultSpace+"\")")
	f.StringVarP(&g.environment, "environment", "e", "", "environment (default \""+defaultEnvironment+"\")")
	f.StringVar(&g.context, "context", "", "context of the configuration file")
	f.StringVarP(&g.output, "output", "o", "", "table, wide, json or yaml (default \"table\")")
	f.StringVar(&g.config, "config", "", "configuration file")
	f.StringVar(&g.tokenFile, "token-file", "", "file that holds the token")
	f.BoolVar(&g.noHeaders, "no-headers", false, "lists without the names of their columns")
	f.BoolVarP(&g.yes, "yes", "y", false, "do not ask")
	f.BoolVarP(&g.quiet, "quiet", "q", false, "no progress and no warnings")
	f.BoolVarP(&g.verbose, "verbose", "v", false, "say more")
}

// settle takes from the environment what the command line does not name.
func (g *globals) settle(p Process, cmd *cobra.Command) error {
	g.clusterNamed = cmd.Flags().Changed("config") || cmd.Flags().Changed("context")
	g.tokenNamed = cmd.Flags().Changed("token-file")
	for name, value := range map[string]*string{
		"space": &g.space, "environment": &g.environment, "context": &g.context,
		"output": &g.output, "config": &g.config, "token-file": &g.tokenFile,
	} {
		if !cmd.Flags().Changed(name) {
			*value = p.env(variable(name))
		}
	}
	for name, value := range map[string]*bool{"no-headers": &g.noHeaders, "yes": &g.yes, "quiet": &g.quiet, "verbose": &g.verbose} {
		if !cmd.Flags().Changed(name) {
			*value = p.envBool(variable(name))
		}
	}
	if g.quiet && g.verbose {
		return usagef(cmd, "--quiet and --verbose exclude each other")
	}
	if g.output == "" {
		g.output = formatTable
	}
	if !slices.Contains(formats, g.output) {
		return usagef(cmd, "output %q is not one of %s", g.output, strings.Join(formats, ", "))
	}
	return nil
}

// variable is the environment variable of a flag.
func variable(flag string) string {
	return "RUNWAY_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// settleNames fills space and environment from the context and the defaults.
func (g *globals) settleNames(c config.Context) {
	g.spaceNamed, g.environmentNamed = g.space != "", g.environment != ""
	g.space = firstNonEmpty(g.space, c.Space, defaultSpace)
	g.environment = firstNonEmpty(g.environment, c.Environment, defaultEnvironment)
}

func firstNonEmpty(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
