package docstest

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Commands is the reference of a program: each command with its usage, help, examples
// and flags. The flags that all commands share are listed once.
func Commands(root *cobra.Command) string {
	var text strings.Builder
	for _, c := range tree(root) {
		fmt.Fprintf(&text, "%s %s\n\n%s\n\n", strings.Repeat("#", 1+depth(c)), c.CommandPath(), sentence(c))
		if c.Long != "" && c.Long != c.Short {
			fmt.Fprintf(&text, "%s\n\n", c.Long)
		}
		if c.Runnable() && !c.HasSubCommands() || c.HasParent() && c.HasLocalFlags() {
			fmt.Fprintf(&text, "```\n%s\n```\n\n", c.UseLine())
		}
		if c.Example != "" {
			fmt.Fprintf(&text, "```\n%s\n```\n\n", unindent(c.Example))
		}
		text.WriteString(flags(c))
	}
	return text.String()
}

// tree is a command and all below it that help shows.
func tree(c *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{c}
	for _, child := range c.Commands() {
		if child.IsAvailableCommand() && child.Name() != "help" {
			all = append(all, tree(child)...)
		}
	}
	return all
}

func depth(c *cobra.Command) int {
	n := 0
	for ; c.HasParent(); c = c.Parent() {
		n++
	}
	return min(n, 2)
}

func sentence(c *cobra.Command) string { return strings.TrimSuffix(c.Short, ".") + "." }

// unindent takes away the two columns that help shows examples by.
func unindent(example string) string {
	lines := strings.Split(example, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimPrefix(line, "  ")
	}
	return strings.Join(lines, "\n")
}

// flags lists those that a command adds: its own, and at the root those of all.
func flags(c *cobra.Command) string {
	var rows [][]string
	c.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" || f.Name == "version" {
			return
		}
		kind, meaning := pflag.UnquoteUsage(f)
		rows = append(rows, []string{code(names(f)), kind, code(defaultOf(f)), meaning})
	})
	if len(rows) == 0 {
		return ""
	}
	return Table([]string{"flag", "value", "default", "meaning"}, rows) + "\n"
}

func names(f *pflag.Flag) string {
	if f.Shorthand == "" {
		return "--" + f.Name
	}
	return "-" + f.Shorthand + ", --" + f.Name
}

// defaultOf leaves out what only means that nothing was said.
func defaultOf(f *pflag.Flag) string {
	switch f.DefValue {
	case "", "false", "0", "0s", "[]":
		return ""
	}
	return f.DefValue
}

func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + text + "`"
}
