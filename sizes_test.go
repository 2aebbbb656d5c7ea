package runway_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A longer file holds more than one concept. Tests carry tables.
const (
	maxLines     = 500
	maxTestLines = 800
)

func TestSizes(t *testing.T) {
	t.Parallel()
	for _, path := range sources(t) {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := checkSize(path, content); err != nil {
			t.Error(err)
		}
	}
}

// The checker must be able to fail.
func TestSizes_RuleRefusesWhatItShould(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		path    string
		lines   int
		refused bool
	}{
		{"agent/replica.go", maxLines, false},
		{"agent/replica.go", maxLines + 1, true},
		{"agent/replica_test.go", maxLines + 1, false},
		{"agent/replica_test.go", maxTestLines, false},
		{"agent/replica_test.go", maxTestLines + 1, true},
	} {
		err := checkSize(tt.path, bytes.Repeat([]byte("\n"), tt.lines))
		if refused := err != nil; refused != tt.refused {
			t.Errorf("%s of %d lines: got %v, want refused %t", tt.path, tt.lines, err, tt.refused)
		}
	}
}

func checkSize(path string, content []byte) error {
	most := maxLines
	if strings.HasSuffix(path, "_test.go") {
		most = maxTestLines
	}
	if lines := bytes.Count(content, []byte("\n")); lines > most {
		return fmt.Errorf("%s has %d lines, at most %d are readable: split it by concept", path, lines, most)
	}
	return nil
}

// sources returns the module's Go files that people write.
func sources(t *testing.T) []string {
	t.Helper()
	var paths []string
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && isForeign(path, entry.Name()):
			return filepath.SkipDir
		case strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, ".pb.go"):
			paths = append(paths, path)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("walk the module: %v", err)
	}
	if len(paths) == 0 {
		t.Fatal("found no Go file: the rules would hold for nothing")
	}
	return paths
}

// isForeign is true for folders that the go command leaves out of the module.
func isForeign(path, name string) bool {
	if path == "." {
		return false
	}
	_, err := os.Stat(filepath.Join(path, "go.mod"))
	return err == nil || name == "testdata" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")
}
