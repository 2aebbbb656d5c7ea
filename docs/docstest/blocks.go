package docstest

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Block is a block of code in a page.
type Block struct {
	// Page is its path below the root, such as docs/tutorial.md.
	Page string
	Text string
}

// Commands are the command lines of the block that begin with a program, in whichever
// folder it is, without the name. What is piped or written elsewhere is left to the
// caller.
func (b Block) Commands(program string) []string {
	var all []string
	for line := range strings.Lines(b.Text) {
		words := strings.Fields(line)
		if len(words) > 0 && filepath.Base(words[0]) == program {
			_, rest, _ := strings.Cut(strings.TrimSpace(line), words[0])
			all = append(all, strings.TrimSpace(rest))
		}
	}
	return all
}

var fence = regexp.MustCompile("(?ms)^```(\\S*)[^\n]*\n(.*?)^```$")

// Blocks returns the blocks of a language in the pages that people write: README.md
// and those of docs/ that are not made.
func Blocks(t testing.TB, language string) []Block {
	t.Helper()
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	var all []Block
	read := func(path string) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		page, _ := filepath.Rel(root, path) // both are absolute
		all = append(all, blocksOf(page, language, string(text))...)
	}
	read(filepath.Join(root, "README.md"))
	err = filepath.WalkDir(filepath.Join(root, "docs"), func(path string, _ fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".md") && filepath.Base(filepath.Dir(path)) != "reference" {
			read(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatalf("no block of %s was found: the rule would hold for nothing", language)
	}
	return all
}

func blocksOf(page, language, text string) []Block {
	var all []Block
	for _, found := range fence.FindAllStringSubmatch(text, -1) {
		if found[1] == language {
			all = append(all, Block{Page: page, Text: found[2]})
		}
	}
	return all
}
