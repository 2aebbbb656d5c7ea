package dev

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"time"
)

// defaultContainerd is where the distribution's containerd listens.
const defaultContainerd = "/run/containerd/containerd.sock"

// containerdConfig is for a containerd of our own. A restricted machine may not
// lower OOM scores (no CAP_SYS_RESOURCE), so the daemon keeps the one it has; the
// CRI plugin belongs to Kubernetes and would take 20 MB for nothing.
const containerdConfig = `version = 2
root = %q
state = %q
oom_score = 0
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = %q
[debug]
  level = "warn"
`

// containerdSocket returns the socket to use, and the process to keep running
// when it has to be one of our own.
func (c Config) containerdSocket(ctx context.Context) (string, []string, error) {
	if c.Containerd != "" {
		return c.Containerd, nil, nil
	}
	if answers(ctx, defaultContainerd) {
		return defaultContainerd, nil, nil
	}
	binary, err := exec.LookPath("containerd")
	if err != nil {
		return "", nil, fmt.Errorf("no containerd answers at %s and none is installed: install the package containerd", defaultContainerd)
	}
	dir := c.path("containerd")
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return "", nil, fmt.Errorf("make %s: %w", dir, err)
	}
	if err := c.noteContainerdRun(); err != nil {
		return "", nil, fmt.Errorf("note state of %s: %w", containerdRun, err)
	}
	socket := dir + "/containerd.sock"
	config := fmt.Sprintf(containerdConfig, dir+"/root", dir+"/state", socket)
	path := dir + "/config.toml"
	if err := os.WriteFile(path, []byte(config), 0o644); err != nil {
		return "", nil, fmt.Errorf("write containerd configuration: %w", err)
	}
	return socket, []string{binary, "--config", path}, nil
}

// answers tells whether somebody accepts connections at a Unix socket.
func answers(ctx context.Context, socket string) bool {
	dialer := net.Dialer{Timeout: time.Second}
	conn, err := dialer.DialContext(ctx, "unix", socket)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}
