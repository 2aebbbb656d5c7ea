package main

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// The example becomes a valid image, twice the same bytes.
func TestRun_IsReproducible(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	archives := [2][]byte{}
	for i := range archives {
		path := filepath.Join(dir, string(rune('a'+i))+".tar")
		if err := run(t.Context(), []string{"-o", path, "../hello"}); err != nil {
			t.Fatal(err)
		}
		var err error
		if archives[i], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(archives[0], archives[1]) {
		t.Error("two builds of one source differ")
	}
	image, err := tarball.ImageFromPath(filepath.Join(dir, "a.tar"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(image); err != nil {
		t.Errorf("image: %v", err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.Config.User != "65532:65532" || config.OS != "linux" || config.Architecture != runtime.GOARCH {
		t.Errorf("configuration %+v", config)
	}
}

func TestRun_Refuses(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"usage":   {},
		"compile": {"-o", filepath.Join(t.TempDir(), "x.tar"), "./absent"},
		"write":   {"-o", filepath.Join(t.TempDir(), "absent", "x.tar"), "../hello"},
	} {
		if err := run(t.Context(), args); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("build %q: %v, want %s", args, err, want)
		}
	}
}
