package main

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/runway-platform/runway/cli/doctor"
)

// dialTimeout is long for a socket of this machine.
const dialTimeout = time.Second

// machine is the one that runwayctl runs on.
func machine() doctor.Machine {
	return doctor.Machine{
		Files: os.DirFS("/"),
		Look:  look,
		Run: func(ctx context.Context, path string, args ...string) (string, error) {
			said, err := exec.CommandContext(ctx, path, args...).CombinedOutput()
			return string(said), err
		},
		Answers: func(ctx context.Context, socket string) bool {
			dialer := net.Dialer{Timeout: dialTimeout}
			conn, err := dialer.DialContext(ctx, "unix", socket)
			return err == nil && conn.Close() == nil
		},
		Root: os.Geteuid() == 0,
	}
}

// look finds a program, also where the services of a machine have theirs and the PATH of
// people does not lead.
func look(program string) (string, error) {
	path, err := exec.LookPath(program)
	if err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/local/sbin", "/usr/sbin", "/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, program)); err == nil {
			return path, nil
		}
	}
	return "", err
}
