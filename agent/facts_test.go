package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func machineWith(t *testing.T, meminfo string) machine {
	t.Helper()
	proc := t.TempDir()
	for name, text := range map[string]string{
		"stat":    "cpu  1 2 3\ncpu0 1 1 1\ncpu2 0 1 2\nintr 5 1 2\nctxt 7\n",
		"meminfo": meminfo, "sys/kernel/osrelease": "6.1.0-test\n", "sys/kernel/random/boot_id": "b-1\n",
	} {
		path := filepath.Join(proc, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return machine{proc: proc}
}

func TestFacts_AllocatableIsWhatTheSystemLeaves(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ capacity, want Resources }{
		{Resources{2000, 24 << 30, 100}, Resources{1900, 24<<30 - 24<<30/20, 80}},
		{Resources{1000, 2 << 30, 1000}, Resources{900, 2<<30 - 256<<20, 800}},
		{Resources{32000, 256 << 30, 0}, Resources{30400, 256<<30 - 256<<30/20, 0}},
		{Resources{50, 100 << 20, 5}, Resources{0, 0, 4}},
	} {
		if got := row.capacity.allocatable(); got != row.want {
			t.Errorf("capacity %+v: allocatable %+v, want %+v", row.capacity, got, row.want)
		}
	}
}

func TestFacts_OfThisNode(t *testing.T) {
	t.Parallel()
	config := Config{
		Name: "n1", DataDir: t.TempDir(), Address: "192.0.2.1", Identity: "192.0.2.1:7444", Region: "local", PortFirst: 20000, PortLast: 20999, Allocatable: Resources{MilliCPU: 500},
	}
	got, err := config.facts(machineWith(t, "MemFree: 1 kB\nMemTotal:       8388608 kB\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got.GetCapacityMemoryBytes() != 8<<30 || got.GetAllocatableMemoryBytes() != 8<<30-8<<30/20 || got.GetAllocatableCpuMilli() != 500 {
		t.Errorf("facts %v: want 8 GiB, 5%% of it reserved, and the CPU that was configured", got)
	}
	if got.GetCapacityCpuMilli() != 2000 {
		t.Errorf("%d mCPU, want 2 processors: 0 and 2 are online", got.GetCapacityCpuMilli())
	}
	if got.GetCapacityDiskBytes() == 0 || got.GetKernelVersion() != "6.1.0-test" || got.GetBootId() != "b-1" || got.GetPortLast() != 20999 || got.GetIdentityAddress() != "192.0.2.1:7444" {
		t.Errorf("facts %v: want disk, kernel, boot id, ports and where to ask", got)
	}
}

func TestFacts_UnreadableMachine(t *testing.T) {
	t.Parallel()
	config := Config{DataDir: t.TempDir()}
	asleep := machineWith(t, "MemTotal: 1 kB\n")
	if err := os.WriteFile(filepath.Join(asleep.proc, "stat"), []byte("cpu  1 2 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, m := range map[string]machine{
		"no processor": asleep,
		"no proc":      {proc: "/nowhere"}, "no MemTotal": machineWith(t, "MemFree: 1 kB\n"), "no number": machineWith(t, "MemTotal: x kB\n"),
	} {
		if _, err := config.facts(m); err == nil || !strings.Contains(err.Error(), "machine") {
			t.Errorf("%s: got %v, want an error", name, err)
		}
	}
}

func TestConfig_ValidateNamesEverything(t *testing.T) {
	t.Parallel()
	err := Config{Parallel: -1, PortFirst: 2, PortLast: 1}.Validate()
	for _, word := range []string{"no name", "no data directory", "no address", "no region", "port range 2-1", "negative amount"} {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("error %v does not say %q", err, word)
		}
	}
}
