package dev

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// holds is the variable that makes this test binary another process that runs a
// cluster, as far as the directory knows.
const holds = "DEV_TEST_HOLDS"

func TestMain(m *testing.M) {
	if dir := os.Getenv(holds); dir != "" {
		if _, err := (Config{DataDir: dir}).claim(slog.Default()); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("held")
		select {}
	}
	os.Exit(m.Run())
}

// hold starts the other process and waits until it has the directory.
func hold(t *testing.T, dir string) *exec.Cmd {
	t.Helper()
	other := exec.Command(os.Args[0])
	other.Env = append(os.Environ(), holds+"="+dir)
	output, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Process.Kill(); _ = other.Wait() })
	if line, _ := bufio.NewReader(output).ReadString('\n'); line != "held\n" {
		t.Fatalf("the other process says %q", line)
	}
	return other
}

func TestClaim_HoldsForTheLifeOfTheProcess(t *testing.T) {
	c := valid(t)
	if _, running := Running(c.DataDir); running {
		t.Error("a cluster runs in an empty directory")
	}
	other := hold(t, c.DataDir)
	if pid, running := Running(c.DataDir); !running || pid != other.Process.Pid {
		t.Errorf("got process %d, %t, want %d", pid, running, other.Process.Pid)
	}
	want := fmt.Sprintf("process %d already runs a cluster in %s", other.Process.Pid, c.DataDir)
	if _, err := c.claim(slog.Default()); err == nil || err.Error() != want {
		t.Errorf("got %v, want %q", err, want)
	}
	if err := other.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = other.Wait() // it was killed
	if pid, running := Running(c.DataDir); running {
		t.Errorf("process %d still counts after it was killed", pid)
	}
	release, err := c.claim(slog.Default())
	if err != nil {
		t.Fatal(err)
	}
	release()
}

// A file with the number of somebody else's process ends nobody.
func TestEndChildren_EndsOnlyProcessesOfTheDirectory(t *testing.T) {
	c := valid(t)
	foreign := exec.Command("sleep", "600")
	// The shell ignores SIGTERM, as a part that hangs would.
	ours := exec.Command("sh", "-c", "trap '' TERM; echo started; while :; do sleep 600 & wait $!; done", c.path("node-1.yml"))
	output, err := ours.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	ours.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	for name, process := range map[string]*exec.Cmd{"foreign": foreign, "node-1": ours} {
		if err := process.Start(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(c.path(name+".pid"), fmt.Appendln(nil, process.Process.Pid), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		_ = foreign.Process.Kill()
		_ = foreign.Wait()
		_ = syscall.Kill(-ours.Process.Pid, syscall.SIGKILL)
	})
	if line, _ := bufio.NewReader(output).ReadString('\n'); line != "started\n" {
		t.Fatalf("the part says %q", line)
	}
	ended := make(chan struct{})
	go func() { _ = ours.Wait(); close(ended) }()
	if err := c.endChildren(t.Context()); err != nil {
		t.Error(err)
	}
	<-ended
	if err := syscall.Kill(foreign.Process.Pid, 0); err != nil {
		t.Errorf("the process of somebody else: %v", err)
	}
}

// The containerd of the first start is the cluster's for its life.
func TestContainerdSocket_TheFirstChoiceHolds(t *testing.T) {
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "containerd"), []byte("#!/bin/sh\n"), 0o700); err != nil { //nolint:gosec // it is run
		t.Fatal(err)
	}
	t.Setenv("PATH", bin)
	system := filepath.Join(t.TempDir(), "c.sock")
	c := valid(t)
	own := c.ownContainerd()
	socket, command, err := c.containerdSocket(t.Context(), system)
	if err != nil || socket != own || len(command) == 0 {
		t.Fatalf("none answers: %s %v %v, want one of our own", socket, command, err)
	}
	listen(t, system)
	if socket, command, err = c.containerdSocket(t.Context(), system); err != nil || socket != own || len(command) == 0 {
		t.Errorf("the system's came later: %s %v %v, want still our own", socket, command, err)
	}

	other := valid(t)
	if socket, command, err = other.containerdSocket(t.Context(), system); err != nil || socket != system || command != nil {
		t.Errorf("the system's answers: %s %v %v", socket, command, err)
	}
	other.Containerd = "/run/other.sock"
	if _, _, err := other.containerdSocket(t.Context(), system); err == nil || !strings.Contains(err.Error(), "run in the containerd at "+system) {
		t.Errorf("another one by flag: got %v, want a refusal", err)
	}
	other.Containerd = system
	if socket, _, err = other.containerdSocket(t.Context(), "/absent.sock"); err != nil || socket != system {
		t.Errorf("the same one by flag: %s %v", socket, err)
	}
}

// listen answers at a Unix socket for the life of the test.
func listen(t *testing.T, socket string) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if !answers(ctx, socket) {
		t.Fatal("the listener does not answer")
	}
}
