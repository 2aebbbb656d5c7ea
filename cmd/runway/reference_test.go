package main

import (
	"testing"

	"github.com/spf13/cobra"

	"github.com/runway-platform/runway/docs/docstest"
)

func TestReference_IsWhatTheCommandsSay(t *testing.T) {
	t.Parallel()
	root := newCommand()
	nameless(root)
	docstest.Page(t, "reference/runway.md", docstest.Commands(root)+
		"\nEach flag of `coordinator`, `agent`, `ingress` and `dev` is also a key of the YAML file of `--config` and a variable:\n"+
		"`--data-dir` is `data-dir:` and `"+variable("data-dir")+"`. What is typed wins over the variable, which wins over the file.\n")
}

// nameless replaces the default that is the name of this machine.
func nameless(c *cobra.Command) {
	if c.Name() == "agent" || c.HasParent() && c.Parent().Name() == "agent" {
		c.Flags().Lookup("name").DefValue = "name of the machine"
	}
	for _, child := range c.Commands() {
		nameless(child)
	}
}
