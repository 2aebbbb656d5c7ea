//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// tutorialLimit is how long the whole tutorial may take, with the programs built anew.
const tutorialLimit = 3 * time.Minute

// The tutorial, word for word, in a clean checkout: each block of commands ends as the
// page says and prints what the page shows below it.
func TestTutorial_WordForWord(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: make e2e")
	}
	text, err := os.ReadFile("../docs/tutorial.md")
	if err != nil {
		t.Fatal(err)
	}
	steps := stepsOf(t, string(text))
	if len(steps) < 10 {
		t.Fatalf("only %d blocks of commands were found", len(steps))
	}
	before := traces(t)
	checkout := checkout(t)
	t.Cleanup(func() {
		if t.Failed() {
			exec.Command("make", "-C", checkout, "demo-stop").Run() //nolint:errcheck // best effort after a failure
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), tutorialLimit)
	defer cancel()
	for _, s := range steps {
		began := time.Now()
		output, exit := s.run(ctx, checkout)
		t.Logf("%s: %s", s.place, time.Since(began).Round(time.Millisecond))
		if exit != s.exit {
			t.Fatalf("%s: exit code %d, the page says %d:\n%s\n%s", s.place, exit, s.exit, s.commands, output)
		}
		if missing := notShown(s.shown, output); missing != "" {
			t.Fatalf("%s: nothing printed is like %q:\n%s\n%s", s.place, missing, s.commands, output)
		}
		if s.exit == 0 && strings.Contains(s.commands, "make demo\n") {
			checkScrape(t)
		}
	}
	compare(t, before)
	if left := strings.TrimSpace(run(t, "git", "-C", checkout, "status", "--short")); left != "" {
		t.Errorf("left in the checkout: %s", left)
	}
}

// The checker must be able to fail.
func TestTutorial_OutputIsCompared(t *testing.T) {
	t.Parallel()
	const printed = "starting\n\nhello   production  healthy\nRW-1101 exited (x)\n"
	for shown, missing := range map[string]string{
		"":                             "",
		"hello …healthy":               "",
		"hello …healthy\nRW-1101 …":    "",
		"RW-1101 …\nhello …healthy":    "hello …healthy", // in another order
		"hello …failing":               "hello …failing",
		"starting …":                   "", // nothing may stand for …
		"hello production healthy now": "hello production healthy now",
		"(x)":                          "(x)",
	} {
		if got := notShown(shown, printed); got != missing {
			t.Errorf("%q: missing %q, want %q", shown, got, missing)
		}
	}
	steps := stepsOf(t, "a\n```sh exit=4\nfalse\n```\n```text\nno\n```\n```go\nx\n```\n```sh\ntrue\n```\n")
	if len(steps) != 2 || steps[0].exit != 4 || steps[0].shown != "no\n" || steps[1].commands != "true\n" || steps[1].shown != "" || steps[0].place != "docs/tutorial.md:2" {
		t.Errorf("steps are %+v", steps)
	}
	if output, exit := steps[0].run(t.Context(), t.TempDir()); exit != 1 {
		t.Errorf("false ends with %d %q", exit, output)
	}
}

// step is a block of commands, with what the page says of it.
type step struct {
	place    string
	commands string
	exit     int
	shown    string
}

var fence = regexp.MustCompile("(?ms)^```(\\S+)(?: exit=(\\d+))?\n(.*?)^```$")

// stepsOf are the blocks of a page that are typed, each with the block of text that
// follows it.
func stepsOf(t *testing.T, page string) []step {
	t.Helper()
	var all []step
	for _, at := range fence.FindAllStringSubmatchIndex(page, -1) {
		language, body := page[at[2]:at[3]], page[at[6]:at[7]]
		switch {
		case language == "sh":
			s := step{place: fmt.Sprintf("docs/tutorial.md:%d", 1+strings.Count(page[:at[0]], "\n")), commands: body}
			if at[4] >= 0 {
				s.exit, _ = strconv.Atoi(page[at[4]:at[5]]) // digits
			}
			all = append(all, s)
		case language == "text" && len(all) > 0:
			all[len(all)-1].shown = body
		}
	}
	return all
}

// run types a block as somebody would, and stops at the first command that fails.
func (s step) run(ctx context.Context, dir string) (string, int) {
	command := exec.CommandContext(ctx, "bash", "-e", "-c", s.commands)
	command.Dir = dir
	command.WaitDelay = 5 * time.Second
	output, err := command.CombinedOutput()
	var ended *exec.ExitError
	switch {
	case err == nil:
		return string(output), 0
	case errors.As(err, &ended):
		return string(output), ended.ExitCode()
	default:
		return string(output) + err.Error(), -1
	}
}

// notShown is the first line that is shown on the page and not printed behind the ones
// before it. An … stands for anything, and columns may be wider than on the page.
func notShown(shown, output string) string {
	printed := lines(output)
	for _, line := range lines(shown) {
		if line == "" {
			continue
		}
		var parts []string
		for part := range strings.SplitSeq(line, "…") {
			parts = append(parts, strings.ReplaceAll(regexp.QuoteMeta(part), " ", `\s*`))
		}
		like := regexp.MustCompile("^" + strings.Join(parts, ".*") + "$")
		for len(printed) > 0 && !like.MatchString(printed[0]) {
			printed = printed[1:]
		}
		if len(printed) == 0 {
			return line
		}
		printed = printed[1:]
	}
	return ""
}

// checkout is a folder with the files of the repository, as a clone has them.
func checkout(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "runway")
	run(t, "sh", "-c", `mkdir "$0" && cd .. && git ls-files -z | xargs -0 cp --parents -t "$0" && cd "$0" && git init -q && git add -A && git -c user.name=t -c user.email=t commit -qm t`, dir)
	return dir
}

// checkScrape compares what the three parts of the demo show with the reference: what
// is shown is on the page, with that type, and who is on the machine gets profiles.
func checkScrape(t *testing.T) {
	t.Helper()
	page, err := os.ReadFile("../docs/reference/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for port, part := range []string{"coordinator", "agent", "ingress"} {
		run(t, "curl", "-sSf", "-o", "/dev/null", fmt.Sprintf("http://127.0.0.1:%d/debug/pprof/heap", 9464+port))
		for _, line := range lines(run(t, "curl", "-sS", fmt.Sprintf("http://127.0.0.1:%d/metrics", 9464+port))) {
			words := strings.Fields(line)
			if len(words) != 4 || words[1] != "TYPE" || !strings.HasPrefix(words[2], "runway_") || words[2] == "runway_build_info" {
				continue
			}
			seen++
			if row := fmt.Sprintf("| `%s` | %s |", words[2], words[3]); !strings.Contains(string(page), row) {
				t.Errorf("the %s shows %s as a %s, and docs/reference/metrics.md has no such row", part, words[2], words[3])
			}
		}
	}
	if seen < 40 {
		t.Errorf("only %d metrics are shown", seen)
	}
}
