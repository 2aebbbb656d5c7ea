// Package docstest keeps the reference pages below docs/ equal to the code. A test
// makes a page from what the code registers, and Page compares it with the file;
// `make docs` runs the same tests to write the files. It knows nothing of Runway.
package docstest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Variable is set by `make docs` to have pages written instead of compared.
const Variable = "RUNWAY_WRITE_DOCS"

// made says on every page where it comes from.
const made = "<!-- Made from the code by `make docs`; a test compares the two. -->\n\n"

// Page compares a page of docs/, such as "reference/codes.md", with what the code says
// now, and fails with how to make it again. Under `make docs` it writes the page.
func Page(t testing.TB, name, content string) {
	t.Helper()
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(root, "docs", filepath.FromSlash(name))
	want := made + strings.TrimSpace(content) + "\n"
	if os.Getenv(Variable) != "" {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if problem := stale(path, want); problem != "" {
		t.Error(problem)
	}
}

// stale says what is wrong with the file, or nothing.
func stale(path, want string) string {
	got, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err.Error()
	}
	if diff := cmp.Diff(string(got), want); diff != "" {
		return fmt.Sprintf("docs/%s/%s is not what the code says: run `make docs` and commit the page (-page +code):\n%s",
			filepath.Base(filepath.Dir(path)), filepath.Base(path), diff)
	}
	return ""
}

// moduleRoot is the nearest folder above that holds go.mod.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if filepath.Dir(dir) == dir {
			return "", errors.New("find go.mod above the working directory: there is none")
		}
		dir = filepath.Dir(dir)
	}
}

// Table is a table of Markdown. Cells may hold anything but line breaks.
func Table(header []string, rows [][]string) string {
	var text strings.Builder
	line := func(cells []string) {
		text.WriteString("|")
		for _, cell := range cells {
			text.WriteString(" " + strings.ReplaceAll(cell, "|", `\|`) + " |")
		}
		text.WriteString("\n")
	}
	line(header)
	text.WriteString(strings.Repeat("|---", len(header)) + "|\n")
	for _, row := range rows {
		line(row)
	}
	return text.String()
}
