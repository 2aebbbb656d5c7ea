package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	yaml "go.yaml.in/yaml/v3"

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

// In the help of a flag, what is quoted as code stands for its value.
func TestHelp_ValuesHaveOneWord(t *testing.T) {
	t.Parallel()
	every(newCommand(), func(c *cobra.Command) {
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if value, _ := pflag.UnquoteUsage(f); strings.Contains(value, " ") {
				t.Errorf("%s: the value of --%s is shown as %q", c.CommandPath(), f.Name, value)
			}
		})
	})
}

func every(c *cobra.Command, do func(*cobra.Command)) {
	do(c)
	for _, child := range c.Commands() {
		every(child, do)
	}
}

// Every command line in the pages that people write is one that the present flags
// accept.
func TestDocs_CommandLinesParse(t *testing.T) {
	t.Parallel()
	checked := 0
	for _, block := range docstest.Blocks(t, "sh") {
		for _, line := range block.Commands("runway") {
			checked++
			found, rest, err := newCommand().Find(strings.Fields(line))
			if err == nil {
				err = found.ParseFlags(rest)
			}
			if err == nil {
				err = found.ValidateArgs(found.Flags().Args())
			}
			if err != nil || !found.Runnable() {
				t.Errorf("%s: runway %s: %v", block.Page, line, err)
			}
		}
	}
	if checked == 0 {
		t.Error("no command line was found")
	}
}

// Every configuration file in the pages, which begins with its name, has keys and
// values that the command of that name accepts.
func TestDocs_ConfigurationsAreAccepted(t *testing.T) {
	t.Parallel()
	checked := 0
	for _, block := range docstest.Blocks(t, "yaml") {
		first, _, _ := strings.Cut(block.Text, "\n")
		path, isFile := strings.CutPrefix(first, "# /etc/runway/")
		if !isFile {
			continue
		}
		checked++
		c, _, err := newCommand().Find([]string{strings.TrimSuffix(filepath.Base(path), ".yml")})
		if err != nil {
			t.Errorf("%s: %s: %v", block.Page, path, err)
			continue
		}
		var values map[string]any
		if err := yaml.Unmarshal([]byte(block.Text), &values); err != nil {
			t.Errorf("%s: %s: %v", block.Page, path, err)
		}
		for name, value := range values {
			if err := setFromFile(c.Flags(), name, value); err != nil {
				t.Errorf("%s: %s: key %q: %v", block.Page, path, name, err)
			}
		}
	}
	if checked < 3 {
		t.Errorf("only %d configuration files were found", checked)
	}
}
