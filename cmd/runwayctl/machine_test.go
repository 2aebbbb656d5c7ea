package main

import (
	"net"
	"path/filepath"
	"testing"
)

// The machine that doctor looks at is the one that it runs on.
func TestMachine_IsThisOne(t *testing.T) {
	t.Parallel()
	m := machine()
	path, err := m.Look("sh")
	if err != nil {
		t.Fatal(err)
	}
	if said, err := m.Run(t.Context(), path, "-c", "echo hello; echo there >&2"); err != nil || said != "hello\nthere\n" {
		t.Errorf("sh says %q, %v", said, err)
	}
	if path, err := m.Look("no-such-program"); err == nil {
		t.Errorf("found %q", path)
	}
	if f := m.Check(t.Context())[0]; f.Check != "kernel" || f.Found == "unknown" {
		t.Errorf("found %+v", f)
	}
	socket := filepath.Join(t.TempDir(), "s")
	if m.Answers(t.Context(), socket) {
		t.Error("a socket that is not there answers")
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if !m.Answers(t.Context(), socket) {
		t.Error("a socket does not answer")
	}
}
