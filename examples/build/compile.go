package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// compile returns a static Linux binary of a package. Paths, build IDs and the
// state of the repository are left out, so that the bytes depend on the source and
// the compiler alone.
func compile(ctx context.Context, program, arch string) (binary []byte, err error) {
	folder, err := os.MkdirTemp("", "build-")
	if err != nil {
		return nil, fmt.Errorf("make folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	target := filepath.Join(folder, "app")
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=", "-o", target, program)
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	if output, err := command.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("compile %q: %w\n%s", program, err, output)
	}
	binary, err = os.ReadFile(target)
	if err != nil {
		return nil, fmt.Errorf("read binary of %q: %w", program, err)
	}
	return binary, nil
}
