package scheduler

import (
	"go/build"
	"testing"
)

// TestImports keeps the package pure: what it may import, and why nothing else.
func TestImports(t *testing.T) {
	t.Parallel()
	allowed := map[string]string{
		"cmp":            "ordering",
		"container/heap": "candidates",
		"fmt":            "sentences",
		"maps":           "copies",
		"math/bits":      "port sets",
		"slices":         "ordering",
		"strings":        "sentences",
	}
	pkg, err := build.ImportDir(".", 0)
	if err != nil {
		t.Fatalf("read package: %v", err)
	}
	for _, path := range pkg.Imports {
		if allowed[path] == "" {
			t.Errorf("import %q: not on the list; no proto, context, log, clock, randomness or I/O here", path)
		}
	}
}
