package consensus

import (
	"bytes"
	"errors"
	"testing"

	"github.com/hashicorp/raft"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/runway-platform/runway/coordinator/command"
	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

func TestNode_restoreBringsBackAndMovesGenerations(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	n := start(t, onDisk(dir, testLogger(t)))
	if _, err := n.Apply(t.Context(), initCluster("test")); err != nil {
		t.Fatal(err)
	}
	apply(t, n, "kept")
	backup := saved(t, n)
	apply(t, n, "newer")

	if err := n.Restore(context10(t), bytes.NewReader(backup), "second"); err != nil {
		t.Fatalf("Restore: %v", err)
	}
	apply(t, n, "after")

	view := n.store.View()
	if view.Space("kept") == nil || view.Space("newer") != nil || view.Space("after") == nil {
		t.Errorf("spaces after the restore: %v", view.Spaces())
	}
	cluster := view.Cluster()
	if cluster.GetIncarnation() != "second" || cluster.GetGenerationBase() != generationGap {
		t.Errorf("incarnation %q, generation base %d", cluster.GetIncarnation(), cluster.GetGenerationBase())
	}
	before := saved(t, n)
	stop(t, n)
	again := start(t, onDisk(dir, testLogger(t)))
	if err := again.Barrier(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(before, saved(t, again)) {
		t.Error("the restored state did not survive a restart")
	}
}

func TestNode_restoreRefuses(t *testing.T) {
	t.Parallel()
	n := start(t, onDisk(t.TempDir(), testLogger(t)))
	if _, err := n.Apply(t.Context(), initCluster("test")); err != nil {
		t.Fatal(err)
	}
	apply(t, n, "a")
	backup := saved(t, n)
	tests := []struct {
		name    string
		content []byte
	}{
		{"truncated", backup[:len(backup)-3]},
		{"without its end", backup[:len(backup)/2]},
		{"one bit", func() []byte { b := bytes.Clone(backup); b[len(b)/3] ^= 8; return b }()},
		{"empty", nil},
		{"longer", append(bytes.Clone(backup), 0)},
		{"of another cluster", foreignSnapshot(t)},
		{"of no cluster", snapshotOf(t, state.New())},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			err := n.Restore(context10(t), bytes.NewReader(test.content), "second")
			if codeOf(err) != code.SnapshotCorrupt {
				t.Errorf("Restore() = %v, want %s", err, code.SnapshotCorrupt)
			}
			if !bytes.Equal(backup, saved(t, n)) {
				t.Error("a refused restore changed the state")
			}
		})
	}
}

func foreignSnapshot(t *testing.T) []byte {
	t.Helper()
	foreign := state.New()
	decided, err := command.New(epoch, initCluster("foreign"))
	if err != nil {
		t.Fatal(err)
	}
	entry, err := command.Encode(decided)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := command.Apply(foreign, 1, entry); err != nil {
		t.Fatal(err)
	}
	return snapshotOf(t, foreign)
}

func snapshotOf(t *testing.T, store *state.Store) []byte {
	t.Helper()
	var content bytes.Buffer
	if err := store.View().Save(&content); err != nil {
		t.Fatal(err)
	}
	return content.Bytes()
}

func TestNode_rejectionIsTyped(t *testing.T) {
	t.Parallel()
	n := start(t, onDisk(t.TempDir(), testLogger(t)))
	apply(t, n, "a")
	_, err := n.Apply(t.Context(), putSpace("a"))
	var rejection *command.Rejection
	if !errors.As(err, &rejection) || rejection.Code != code.SpaceExists || !errors.Is(err, command.ErrExists) {
		t.Errorf("Apply() = %v, want a rejection with %s", err, code.SpaceExists)
	}
	if _, err := n.Apply(t.Context(), &runwayv1.Space{}); !errors.Is(err, command.ErrInvalid) {
		t.Errorf("Apply of what is no command: %v", err)
	}
}

// TestFSM_unknownEntryStopsTheMember: skipping it would fork the state.
func TestFSM_unknownEntryStopsTheMember(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		entry func(*runwayv1.Command)
		want  code.Code
	}{
		{"kind", func(c *runwayv1.Command) { c.Kind = 9999 }, code.UnknownCommand},
		{"version", func(c *runwayv1.Command) { c.MinVersion = command.Version + 1 }, code.UnknownCommand},
		{"checksum", func(c *runwayv1.Command) { c.Crc++ }, code.LogCorrupt},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			n := start(t, onDisk(t.TempDir(), testLogger(t)))
			apply(t, n, "a")
			decided, err := command.New(epoch, putSpace("b"))
			if err != nil {
				t.Fatal(err)
			}
			test.entry(decided)
			entry, err := command.Encode(decided)
			if err != nil {
				t.Fatal(err)
			}
			future := n.raft.Apply(entry, 0)
			if err := <-n.Failed(); codeOf(err) != test.want {
				t.Errorf("Failed() = %v, want %s", err, test.want)
			}
			if err := future.Error(); err == nil {
				if response := future.Response().(applied); response.err == nil {
					t.Error("the entry was applied")
				}
			}
			if _, err := n.fsm.Snapshot(); err == nil {
				t.Error("a member that cannot go on takes a snapshot")
			}
			if later := n.fsm.Apply(&raft.Log{Index: 99}).(applied); later.err == nil {
				t.Error("a later entry was applied")
			}
		})
	}
}

func TestMetrics_areWellNamed(t *testing.T) {
	t.Parallel()
	config := onDisk(t.TempDir(), testLogger(t))
	registry := prometheus.NewRegistry()
	config.Registerer = registry
	n := start(t, config)
	apply(t, n, "a")
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("promlint: %v, %v", problems, err)
	}
	if got := testutil.ToFloat64(n.metrics.applies.WithLabelValues("put_space", "ok")); got != 1 {
		t.Errorf("applied %v put_space, want 1", got)
	}
	if got := testutil.ToFloat64(n.metrics.leader); got != 1 {
		t.Errorf("leader gauge is %v, want 1", got)
	}
}

func TestConfig_validate(t *testing.T) {
	t.Parallel()
	valid := onDisk(t.TempDir(), testLogger(t))
	tests := []struct {
		name   string
		change func(*Config)
	}{
		{"no id", func(c *Config) { c.ID = "" }},
		{"no address", func(c *Config) { c.Address = "" }},
		{"no store", func(c *Config) { c.Store = nil }},
		{"no logger", func(c *Config) { c.Logger = nil }},
		{"no registerer", func(c *Config) { c.Registerer = nil }},
		{"no directory", func(c *Config) { c.DataDir = "" }},
		{"bootstrap and join", func(c *Config) { c.Join = true }},
		{"no streams", func(c *Config) { c.Transport = nil }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			config := valid
			test.change(&config)
			if err := config.validate(); err == nil {
				t.Error("validate() = nil")
			}
		})
	}
	if err := valid.validate(); err != nil {
		t.Errorf("validate() of a valid config: %v", err)
	}
}
