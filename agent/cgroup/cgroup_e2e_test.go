//go:build e2e

package cgroup_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/runway-platform/runway/agent/cgroup"
)

// A cgroup of processes that breed must end up empty, and be removable.
func TestGroup_KillsAndRemoves(t *testing.T) {
	tree, path := cgroup.Open(), fmt.Sprintf("/runway-e2e-%d", os.Getpid())
	folder := filepath.Join("/sys/fs/cgroup/freezer", path)
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		folder = filepath.Join("/sys/fs/cgroup", path)
	}
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	t.Cleanup(func() { _ = tree.Group(path).Remove(context.WithoutCancel(ctx)) })
	breed := exec.CommandContext(ctx, "sh", "-c", "echo $$ > "+folder+"/cgroup.procs; while :; do (sleep 60 &) ; sleep 0.01; done")
	if err := breed.Start(); err != nil {
		t.Fatal(err)
	}
	group := tree.Group(path)
	for ticker := time.NewTicker(5 * time.Millisecond); ; <-ticker.C {
		pids, err := group.PIDs()
		if err != nil || ctx.Err() != nil {
			t.Fatalf("cgroup does not fill: %v, %v", pids, err)
		}
		if len(pids) > 5 {
			break
		}
	}
	if err := group.Kill(ctx); err != nil {
		t.Fatal(err)
	}
	if pids, err := group.PIDs(); err != nil || len(pids) > 0 {
		t.Errorf("after kill: got %v, %v, want none", pids, err)
	}
	_ = breed.Wait() // "killed" is what was asked for
	if err := group.Remove(ctx); err != nil {
		t.Fatal(err)
	}
	if group.Exists() {
		t.Error("cgroup exists after remove")
	}
}
