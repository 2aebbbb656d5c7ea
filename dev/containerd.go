package dev

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"
)

// defaultContainerd is where the distribution's containerd listens.
const defaultContainerd = "/run/containerd/containerd.sock"

// containerdConfig is for a containerd of our own. A restricted machine may not
// lower OOM scores (no CAP_SYS_RESOURCE), so the daemon keeps the one it has; the
// CRI plugin belongs to Kubernetes and would take 20 MB for nothing; the opt plugin makes
// /opt/containerd, which nobody would take away.
const containerdConfig = `version = 2
root = %q
state = %q
oom_score = 0
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
  address = %q
[debug]
  level = "warn"
`

// containerdSocket returns the socket to use, and the process to keep running
// when it has to be one of our own. The first choice holds for as long as the
// cluster lives, because its replicas run in that containerd: another one that is
// found later would start them twice. system is the distribution's socket.
func (c Config) containerdSocket(ctx context.Context, system string) (string, []string, error) {
	if err := c.noteFolders(shimFolders); err != nil {
		return "", nil, err
	}
	socket, err := c.chooseContainerd(ctx, system)
	if err != nil || socket != c.ownContainerd() {
		return socket, nil, err
	}
	command, err := c.prepareContainerd(system)
	return socket, command, err
}

func (c Config) chooseContainerd(ctx context.Context, system string) (string, error) {
	chosen, err := c.chosenContainerd()
	switch {
	case err != nil:
		return "", err
	case chosen != "" && c.Containerd != "" && c.Containerd != chosen:
		return "", fmt.Errorf("the replicas of this cluster run in the containerd at %s, not at %s: leave --containerd out, or remove the cluster first", chosen, c.Containerd)
	case chosen != "":
		return chosen, nil
	}
	socket := c.ownContainerd()
	if c.Containerd != "" {
		socket = c.Containerd
	} else if answers(ctx, system) {
		socket = system
	}
	if err := os.WriteFile(c.path(containerdChoice), []byte(socket+"\n"), 0o644); err != nil {
		return "", fmt.Errorf("remember the containerd: %w", err)
	}
	return socket, nil
}

// containerdChoice is the file that holds the socket of the cluster's containerd.
const containerdChoice = "containerd.socket"

func (c Config) ownContainerd() string { return c.path("containerd", "containerd.sock") }

// chosenContainerd is the socket of the start before, empty at the first one.
func (c Config) chosenContainerd() (string, error) {
	text, err := os.ReadFile(c.path(containerdChoice))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the choice of containerd: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// prepareContainerd writes the configuration of a containerd of our own and returns
// how to run it.
func (c Config) prepareContainerd(system string) ([]string, error) {
	binary, err := exec.LookPath("containerd")
	if err != nil {
		return nil, fmt.Errorf("no containerd answers at %s and none is installed: install the package containerd", system)
	}
	dir := c.path("containerd")
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return nil, fmt.Errorf("make %s: %w", dir, err)
	}
	config := fmt.Sprintf(containerdConfig, dir+"/root", dir+"/state", c.ownContainerd())
	path := dir + "/config.toml"
	if err := os.WriteFile(path, []byte(config), 0o644); err != nil {
		return nil, fmt.Errorf("write containerd configuration: %w", err)
	}
	return []string{binary, "--config", path}, nil
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
