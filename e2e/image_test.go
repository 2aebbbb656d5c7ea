//go:build e2e

package e2e

import (
	"io"
	"log"
	"os"
	"path/filepath"
	"testing"
)

// helloArchive builds the image of examples/hello, once per lab.
func helloArchive(t testing.TB, l *lab) string {
	t.Helper()
	archive := filepath.Join(l.dir, "hello.tar")
	if _, err := os.Stat(archive); err != nil {
		run(t, "go", "run", "../examples/build", "-o", archive, "../examples/hello")
	}
	return "docker-archive:" + archive
}

func discard() *log.Logger { return log.New(io.Discard, "", 0) }
