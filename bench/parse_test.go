package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestReadRollup(t *testing.T) {
	t.Parallel()
	m, err := readRollup(strings.NewReader("00400000-7fff r--p 0 00:00 0 [rollup]\nRss:  5000 kB\nPss:  3000 kB\nAnonymous:  2000 kB\n"))
	if err != nil || m.anonymous != 2000*1024 || m.pss != 3000*1024 {
		t.Errorf("got %+v, %v", m, err)
	}
	for _, text := range []string{"", "Pss: 3000 kB\n", "Pss: x kB\n"} {
		if _, err := readRollup(strings.NewReader(text)); err == nil {
			t.Errorf("%q: want an error", text)
		}
	}
}

func TestMemoryOf_ThisProcess(t *testing.T) {
	t.Parallel()
	m, err := memoryOf(os.Getpid())
	if err != nil || m.anonymous <= 0 || m.pss <= 0 {
		t.Errorf("got %+v, %v", m, err)
	}
}

func TestParent(t *testing.T) {
	t.Parallel()
	got, err := parent(os.Getpid())
	if err != nil || got != os.Getppid() {
		t.Errorf("got %d, %v, want %d", got, err, os.Getppid())
	}
	if _, err := parent(0); err == nil {
		t.Error("no such process: want an error")
	}
}

func TestReadHeap_SaysWhereMemoryGoes(t *testing.T) {
	t.Parallel()
	got, err := readHeap(strings.NewReader("# HELP go_goroutines x\ngo_goroutines 40\ngo_memstats_heap_inuse_bytes 1.5e+07\ngo_info{version=\"x\"} 1\nother 7\n"))
	if err != nil {
		t.Fatal(err)
	}
	if text := got.describe(); !strings.HasPrefix(text, "heap in use 15.00 MB, heap kept for later 0.00 MB") || !strings.HasSuffix(text, "goroutines 40") {
		t.Errorf("got %q", text)
	}
}

func TestReadSteps(t *testing.T) {
	t.Parallel()
	text := "# HELP x\nrunway_agent_step_duration_seconds_bucket{step=\"pull\",le=\"1\"} 3\n" +
		"runway_agent_step_duration_seconds_sum{step=\"pull\"} 0.25\nrunway_agent_step_duration_seconds_sum{step=\"create\"} 1.5\n"
	after, err := readSteps(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	got := after.minus(stepTimes{"create": time.Second})
	if diff := cmp.Diff(stepTimes{"pull": 250 * time.Millisecond, "create": 500 * time.Millisecond}, got); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
}

func TestTrace_IsPackable(t *testing.T) {
	t.Parallel()
	requests := trace(10_000, 100, packFill)
	total := 0
	for _, r := range requests {
		total += r.Count
		if r.Reservation.CPU <= 0 || r.Reservation.Memory <= 0 || r.Reservation.CPU > traceNode.CPU || r.Reservation.Memory > traceNode.Memory {
			t.Fatalf("request %+v does not fit a node", r)
		}
	}
	if total != 10_000 {
		t.Errorf("got %d replicas, want 10000", total)
	}
	if bound, used := lowerBound(requests), nextFit(requests); bound < 85 || bound > 90 || used < bound {
		t.Errorf("lower bound %d, next-fit %d: want about 90 of 100 nodes, and no packing below the bound", bound, used)
	}
}
