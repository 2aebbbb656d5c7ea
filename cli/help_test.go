package cli

import (
	"slices"
	"strings"
	"testing"

	"github.com/runway-platform/runway/cli/clitest"
	"github.com/spf13/cobra"
)

// commandsOf is a command and all below it, without those that the shell's completion
// calls.
func commandsOf(c *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{c}
	for _, child := range c.Commands() {
		if !child.Hidden {
			all = append(all, commandsOf(child)...)
		}
	}
	return all
}

// newRoot is the tree of commands as Run makes it.
func newRoot() *cobra.Command {
	root := (&app{Process: Process{LookupEnv: func(string) (string, bool) { return "", false }, Now: clitest.Now.Local}}).root()
	root.InitDefaultHelpCmd()
	return root
}

// Every command says in one line what it is for, and those that do something also
// what happens and how it is typed.
func TestHelp_TeachesEveryCommand(t *testing.T) {
	t.Parallel()
	for _, c := range commandsOf(newRoot()) {
		if c.Name() == "help" {
			continue // cobra's own
		}
		if c.Short == "" || strings.ContainsAny(c.Short, "\n") || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: the summary %q is not one line without a full stop", c.CommandPath(), c.Short)
		}
		if !c.HasSubCommands() && (c.Long == "" || c.Long == c.Short) {
			t.Errorf("%s: the help does not say what it does", c.CommandPath())
		}
		if c.Example == "" {
			t.Errorf("%s: there is no example", c.CommandPath())
		}
		for _, line := range strings.Split(c.Long, "\n") {
			if len([]rune(line)) > helpColumns {
				t.Errorf("%s: a line of the help has more than %d columns: %s", c.CommandPath(), helpColumns, line)
			}
		}
	}
}

// helpColumns is how wide a line of the help may be.
const helpColumns = 125

// Every example is a command line that the present flags and arguments accept, of the
// command that shows it.
func TestHelp_ExamplesParse(t *testing.T) {
	t.Parallel()
	for _, c := range commandsOf(newRoot()) {
		for _, line := range strings.Split(c.Example, "\n") {
			if c.Example == "" {
				continue
			}
			if !strings.HasPrefix(line, "  runwayctl ") {
				t.Errorf("%s: the example %q is no command line", c.CommandPath(), line)
				continue
			}
			checkExample(t, c, words(line)[1:])
		}
	}
}

// checkExample parses a command line with a tree of its own: flags remember.
func checkExample(t *testing.T, c *cobra.Command, args []string) {
	t.Helper()
	args = beforePipe(args)
	found, rest, err := newRoot().Find(args)
	if err != nil {
		t.Errorf("%s: the example %q: %v", c.CommandPath(), args, err)
		return
	}
	if found.CommandPath() != c.CommandPath() && !strings.HasPrefix(found.CommandPath(), c.CommandPath()+" ") {
		t.Errorf("%s: the example %q is one of %s", c.CommandPath(), args, found.CommandPath())
	}
	if found.HasSubCommands() {
		t.Errorf("%s: the example %q does nothing", c.CommandPath(), args)
	}
	if err := found.ParseFlags(rest); err != nil {
		t.Errorf("%s: the example %q: %v", c.CommandPath(), args, err)
		return
	}
	if err := found.ValidateArgs(found.Flags().Args()); err != nil {
		t.Errorf("%s: the example %q: %v", c.CommandPath(), args, err)
	}
	if err := found.Root().PersistentPreRunE(found, nil); err != nil {
		t.Errorf("%s: the example %q: %v", c.CommandPath(), args, err)
	}
}

// beforePipe leaves out what an example does with the answer.
func beforePipe(args []string) []string {
	for i, arg := range args {
		if slices.Contains([]string{"|", ">", "#"}, arg) {
			return args[:i]
		}
	}
	return args
}

// words splits a line as a shell does that meets spaces and quotes.
func words(line string) []string {
	var all []string
	var word strings.Builder
	inWord, quote := false, rune(0)
	for _, r := range line + " " {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '\'' || r == '"'):
			inWord, quote = true, r
		case quote == 0 && r == ' ':
			if inWord {
				all = append(all, word.String())
				word.Reset()
			}
			inWord = false
		default:
			inWord = true
			word.WriteRune(r)
		}
	}
	return all
}

// The checker must be able to fail.
func TestHelp_WordsAreThoseOfAShell(t *testing.T) {
	t.Parallel()
	got := words(`  runwayctl restart web -m 'new  address' --x "" > f`)
	want := []string{"runwayctl", "restart", "web", "-m", "new  address", "--x", "", ">", "f"}
	if !slices.Equal(got, want) {
		t.Errorf("words are %q, want %q", got, want)
	}
	if args := beforePipe(want[1:]); len(args) != 6 {
		t.Errorf("before the pipe are %q", args)
	}
}
