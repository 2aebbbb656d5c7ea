package runway_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// Every link of the documentation to a file leads to one, and every page is reached
// from README.md.
func TestDocs_EveryLinkLeadsSomewhere(t *testing.T) {
	t.Parallel()
	reached := map[string]bool{}
	follow(t, "README.md", reached)
	for _, page := range pages(t) {
		if !reached[page] {
			t.Errorf("%s: no link leads to it from README.md", page)
		}
	}
}

// The checker must be able to fail.
func TestDocs_LinksRefuseWhatTheyShould(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"[a](tutorial.md) and [b](https://example.com/x.md)": "docs/tutorial.md",
		"[a](../README.md#more)":                             "README.md",
		"[a](#here)":                                         "",
		"[a](reference/)":                                    "docs/reference",
	} {
		if got := strings.Join(targets("docs/README.md", text), " "); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

// follow reads a page and those that it links to.
func follow(t *testing.T, page string, reached map[string]bool) {
	t.Helper()
	reached[page] = true
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range targets(page, string(text)) {
		if _, err := os.Stat(target); err != nil {
			t.Errorf("%s: the link to %s leads nowhere", page, target)
			continue
		}
		if strings.HasSuffix(target, ".md") && !reached[target] {
			follow(t, target, reached)
		}
	}
}

// targets are the files that a page links to, below the root.
func targets(page, text string) []string {
	var all []string
	for _, found := range link.FindAllStringSubmatch(text, -1) {
		target, _, _ := strings.Cut(found[1], "#")
		if target != "" && !strings.Contains(target, "://") {
			all = append(all, filepath.Join(filepath.Dir(page), target))
		}
	}
	return all
}

// pages are those that people read first: everything in docs/ but its design, and what
// stands beside README.md.
func pages(t *testing.T) []string {
	t.Helper()
	all, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	if err := filepath.WalkDir("docs", func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".md") && path != "docs/DESIGN.md" {
			all = append(all, path)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if len(all) < 8 {
		t.Fatalf("only %v were found: the rule would hold for nothing", all)
	}
	return all
}
