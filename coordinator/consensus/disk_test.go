package consensus

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
)

func context10(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func apply(t testing.TB, n *Node, spaces ...string) {
	t.Helper()
	for _, name := range spaces {
		if _, err := n.Apply(t.Context(), putSpace(name)); err != nil {
			t.Fatalf("Apply(%q): %v", name, err)
		}
	}
}

func saved(t testing.TB, n *Node) []byte {
	t.Helper()
	var content bytes.Buffer
	if err := n.Snapshot(&content); err != nil {
		t.Fatalf("Snapshot: %v", err)
	}
	return content.Bytes()
}

// filled returns a directory whose log holds a cluster with some spaces.
func filled(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	n := start(t, onDisk(dir, testLogger(t)))
	if _, err := n.Apply(t.Context(), initCluster("test")); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		apply(t, n, spaceName(i))
	}
	stop(t, n)
	return dir
}

func TestNew_emptyDirectoryNeedsBootstrap(t *testing.T) {
	t.Parallel()
	config := onDisk(t.TempDir(), testLogger(t))
	config.Bootstrap = false
	_, err := New(config)
	if codeOf(err) != code.DataDirectoryEmpty {
		t.Errorf("New() = %v, want %s", err, code.DataDirectoryEmpty)
	}
}

func TestNew_directoryInUse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	start(t, onDisk(dir, testLogger(t)))
	_, err := New(onDisk(dir, testLogger(t)))
	if codeOf(err) != code.DataDirectoryInUse {
		t.Errorf("New() = %v, want %s", err, code.DataDirectoryInUse)
	}
}

func TestNode_restartKeepsEverything(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"from the log", "from a snapshot and the log"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			n := start(t, onDisk(dir, testLogger(t)))
			if _, err := n.Apply(t.Context(), initCluster("test")); err != nil {
				t.Fatal(err)
			}
			apply(t, n, "a", "b")
			if strings.Contains(name, "snapshot") {
				if err := n.raft.Snapshot().Error(); err != nil {
					t.Fatal(err)
				}
			}
			apply(t, n, "c")
			before := saved(t, n)
			stop(t, n)

			config := onDisk(dir, testLogger(t))
			config.Bootstrap = false
			again := start(t, config)
			if err := again.Barrier(t.Context()); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(before, saved(t, again)) {
				t.Error("the state after a restart differs from the one before")
			}
		})
	}
}

// TestNode_killedLosesNothing kills a writing process with SIGKILL and compares
// what it had been told was written with what is there.
func TestNode_killedLosesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var acknowledged []string
	for round := range 3 {
		acknowledged = append(acknowledged, killWriter(t, dir, 20+30*round)...)
	}
	n := start(t, onDisk(dir, testLogger(t)))
	if err := n.Barrier(t.Context()); err != nil {
		t.Fatal(err)
	}
	view := n.store.View()
	for _, name := range acknowledged {
		if view.Space(name) == nil {
			t.Errorf("space %q was acknowledged and is lost", name)
		}
	}
	t.Logf("%d writes acknowledged, %d spaces found", len(acknowledged), len(view.Spaces()))
}

// killWriter runs a writer until it has acknowledged enough, kills it in the
// middle of its writes, and returns all that it acknowledged.
func killWriter(t *testing.T, dir string, enough int) []string {
	t.Helper()
	writer := exec.CommandContext(t.Context(), os.Args[0])
	writer.Env = append(os.Environ(), childEnv+"="+dir)
	writer.Stderr = t.Output()
	output, err := writer.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := writer.Start(); err != nil {
		t.Fatal(err)
	}
	var acknowledged []string
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		acknowledged = append(acknowledged, lines.Text())
		if len(acknowledged) == enough {
			if err := writer.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := writer.Wait(); err == nil {
		t.Fatal("the writer ended by itself")
	}
	if len(acknowledged) < enough {
		t.Fatalf("the writer acknowledged %d writes, want %d", len(acknowledged), enough)
	}
	return acknowledged
}

// writeUntilKilled is the child process: it prints each space after it was
// acknowledged. Several writers make sure that a write is under way.
func writeUntilKilled(dir string) int {
	n, err := New(onDisk(dir, testLoggerToStderr()))
	if err != nil {
		fmt.Fprintln(os.Stderr, "writer:", err)
		return 1
	}
	if err := awaitLeader(n); err != nil {
		fmt.Fprintln(os.Stderr, "writer:", err)
		return 1
	}
	lines := make(chan string, 16)
	for i := range 4 {
		go func() {
			for j := 0; ; j++ {
				name := fmt.Sprintf("s-%d-%d-%d", os.Getpid(), i, j)
				if _, err := n.Apply(context.Background(), putSpace(name)); err == nil {
					lines <- name
				}
			}
		}()
	}
	for line := range lines {
		fmt.Println(line)
	}
	return 0
}

func TestNew_refusesDamagedLog(t *testing.T) {
	t.Parallel()
	original := filled(t)
	intact, err := os.ReadFile(filepath.Join(original, logFile))
	if err != nil {
		t.Fatal(err)
	}
	entry := bytes.Index(intact, []byte(spaceName(7)))
	if entry < 0 {
		t.Fatal("the log does not hold the entry")
	}
	tests := []struct {
		name   string
		damage func([]byte) []byte
	}{
		{"one bit of an entry", func(b []byte) []byte { b = flipAll(b, []byte(spaceName(7))); return b }},
		{"torn in the middle", func(b []byte) []byte { return b[:len(b)/2] }},
		{"torn at the first page", func(b []byte) []byte { return b[:4096] }},
		{"empty", func([]byte) []byte { return nil }},
		{"zeros", func(b []byte) []byte { return make([]byte, len(b)) }},
		{"another file", func([]byte) []byte { return bytes.Repeat([]byte("not a log\n"), 4096) }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, logFile)
			if err := os.WriteFile(path, test.damage(bytes.Clone(intact)), 0o600); err != nil {
				t.Fatal(err)
			}
			n, err := New(onDisk(dir, testLogger(t)))
			if err == nil {
				stop(t, n)
			}
			if codeOf(err) != code.LogCorrupt {
				t.Fatalf("New() = %v, want %s", err, code.LogCorrupt)
			}
			if !strings.Contains(err.Error(), path) {
				t.Errorf("error %q does not name %s", err, path)
			}
		})
	}
}

// flipAll flips a bit in every copy of a text: bbolt leaves old copies of pages.
func flipAll(b, text []byte) []byte {
	for at := bytes.Index(b, text); at >= 0; at = bytes.Index(b, text) {
		b[at] ^= 1
	}
	return b
}

// TestNew_everyBitMatters flips bits all over the file: the member starts with the
// same state, when nobody uses the place, or refuses to start. It never starts
// with another state, and never panics.
func TestNew_everyBitMatters(t *testing.T) {
	t.Parallel()
	original := filled(t)
	intact, err := os.ReadFile(filepath.Join(original, logFile))
	if err != nil {
		t.Fatal(err)
	}
	// The header of each page and the meta pages' content, and beside them a prime
	// stride, which visits all positions within pages.
	refused, equal := 0, 0
	for at := range intact {
		inHeader := at%pageSize < pageHeader || (at < 2*pageSize && at%pageSize < pageHeader+metaSize)
		if !inHeader && at%101 != 0 {
			continue
		}
		switch damagedStart(t, intact, at) {
		case "refused":
			refused++
		case "equal":
			equal++
		}
	}
	t.Logf("%d flips refused, %d without effect", refused, equal)
	if refused == 0 {
		t.Error("no flip was noticed")
	}
}

const pageSize = 4096

func damagedStart(t *testing.T, intact []byte, at int) string {
	t.Helper()
	damaged := bytes.Clone(intact)
	damaged[at] ^= 1
	dir := t.TempDir()
	path := filepath.Join(dir, logFile)
	if err := os.WriteFile(path, damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := openFile(path)
	if err != nil {
		if codeOf(err) != code.LogCorrupt {
			t.Fatalf("byte %d: %v, want %s", at, err, code.LogCorrupt)
		}
		return "refused"
	}
	defer func() {
		if err := log.Close(); err != nil {
			t.Errorf("byte %d: close: %v", at, err)
		}
	}()
	n := &Node{log: testLogger(t)}
	n.metrics = newMetrics(onDisk(dir, n.log).Registerer, state.New())
	n.failure = newFailure(n.log, n.metrics)
	storage := guard(Storage{Name: path, Log: log, Stable: log, Snapshots: raft.NewInmemSnapshotStore()}, n)
	if err := recovering(path, func() error { return checkStorage(storage) }); err != nil {
		if codeOf(err) != code.LogCorrupt {
			t.Fatalf("byte %d: %v, want %s", at, err, code.LogCorrupt)
		}
		return "refused"
	}
	_, last, err := bounds(storage.Log)
	if err != nil || last < 22 {
		t.Errorf("byte %d: the log silently ends at entry %d: %v", at, last, err)
	}
	return "equal"
}

func TestNew_refusesDamagedSnapshot(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		damage func([]byte) []byte
	}{
		{"truncated", func(b []byte) []byte { return b[:len(b)-7] }},
		{"one bit", func(b []byte) []byte { b[len(b)/2] ^= 4; return b }},
		{"empty", func([]byte) []byte { return nil }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			n := start(t, onDisk(dir, testLogger(t)))
			apply(t, n, "a", "b")
			if err := n.raft.Snapshot().Error(); err != nil {
				t.Fatal(err)
			}
			stop(t, n)
			damageFile(t, filepath.Join(dir, "snapshots", "*", "state.bin"), test.damage)

			_, err := New(onDisk(dir, testLogger(t)))

			if codeOf(err) != code.SnapshotCorrupt {
				t.Errorf("New() = %v, want %s", err, code.SnapshotCorrupt)
			}
		})
	}
}

func damageFile(t *testing.T, pattern string, damage func([]byte) []byte) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) != 1 {
		t.Fatalf("glob %s: %v, %v", pattern, files, err)
	}
	content, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(files[0], damage(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestNew_refusesHoles(t *testing.T) {
	t.Parallel()
	dir := filled(t)
	log, err := openFile(filepath.Join(dir, logFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := log.DeleteRange(5, 6); err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = New(onDisk(dir, testLogger(t)))
	if codeOf(err) != code.LogCorrupt || !strings.Contains(err.Error(), "no entry 5") {
		t.Errorf("New() = %v, want %s and the entry", err, code.LogCorrupt)
	}
}
