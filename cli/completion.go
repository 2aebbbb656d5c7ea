package cli

import (
	"io"

	"github.com/spf13/cobra"
)

// shell is one that can complete command lines: how its script is made and where it
// is put.
type shell struct {
	name, install string
	write         func(root *cobra.Command, w io.Writer) error
}

var shells = []shell{
	{"bash", "  runwayctl completion bash > ~/.local/share/bash-completion/completions/runwayctl", func(root *cobra.Command, w io.Writer) error {
		return root.GenBashCompletionV2(w, true)
	}},
	{"zsh", "  runwayctl completion zsh > ~/.zfunc/_runwayctl", func(root *cobra.Command, w io.Writer) error { return root.GenZshCompletion(w) }},
	{"fish", "  runwayctl completion fish > ~/.config/fish/completions/runwayctl.fish", func(root *cobra.Command, w io.Writer) error {
		return root.GenFishCompletion(w, true)
	}},
}

func (a *app) completionCommand() *cobra.Command {
	var commands []*cobra.Command
	for _, s := range shells {
		commands = append(commands, &cobra.Command{
			Use: s.name, Short: "Print the completion script for " + s.name, Args: exactly(), Example: s.install,
			Long: "Prints what " + s.name + " needs to complete the command lines of runwayctl. It is read by the shells that start\nafter it was put into its folder, as in the example.",
			RunE: func(cmd *cobra.Command, _ []string) error { return s.write(cmd.Root(), a.Stdout) },
		})
	}
	return noun("completion", "Print what a shell needs to complete command lines", commands...)
}
