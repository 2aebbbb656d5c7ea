package runway_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every top-level folder says its job and its decisions, and the README says what is
// in it.
func TestDocs_EveryFolderIsExplained(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range folders(t) {
		for _, problem := range unexplained(folder, string(readme)) {
			t.Error(problem)
		}
	}
}

// The checker must be able to fail.
func TestDocs_RuleRefusesWhatItShould(t *testing.T) {
	t.Parallel()
	const readme = "| folder | what is in it |\n| `agent/`, `cmd/` | x |\n\nsee `scheduler/`\n"
	for folder, want := range map[string]int{"agent": 0, "cmd": 0, "scheduler": 1, "absent": 2} {
		if got := unexplained(folder, readme); len(got) != want {
			t.Errorf("%s: %q, want %d problems", folder, got, want)
		}
	}
}

func unexplained(folder, readme string) []string {
	var problems []string
	if text, err := os.ReadFile(filepath.Join(folder, "DESIGN.md")); err != nil || len(text) < 200 {
		problems = append(problems, folder+" has no DESIGN.md that says its job and its decisions")
	}
	for line := range strings.Lines(readme) {
		if strings.HasPrefix(line, "| ") && strings.Contains(line, "`"+folder+"/`") {
			return problems
		}
	}
	return append(problems, folder+" is not in the table of folders in README.md")
}

// folders are the top-level folders that people write in.
func folders(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, entry := range entries {
		if entry.IsDir() && !strings.HasPrefix(entry.Name(), ".") && entry.Name() != "bin" && entry.Name() != "testdata" {
			all = append(all, entry.Name())
		}
	}
	if len(all) < 10 {
		t.Fatalf("only %v were found: the rule would hold for nothing", all)
	}
	return all
}
