package cgroup

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"time"
)

// Memory is what a cgroup's memory controller tells. Amounts are bytes; 0 where the kernel does not tell.
type Memory struct {
	// Limit in force; 0 means none.
	Limit int64
	// Peak is the most that was ever used (on v2 since kernel 5.19).
	Peak int64
	// WorkingSet is the use without inactive file pages.
	WorkingSet int64
	// OOMKills counts processes that the kernel killed for this cgroup's limit.
	OOMKills int64
}

// Memory reads the memory facts. They last as long as the cgroup, that is: until the container is deleted.
func (g Group) Memory() (Memory, error) {
	names := memoryV1
	if g.tree.unified {
		names = memoryV2
	}
	usage, err := g.number("memory", names.usage)
	if err != nil {
		return Memory{}, fmt.Errorf("read memory of cgroup %q: %w", g.path, err)
	}
	// The rest is told by some kernels only; 0 stands for "not told".
	limit, _ := g.number("memory", names.limit)
	peak, _ := g.number("memory", names.peak)
	inactive, _ := g.field("memory", "memory.stat", names.inactive)
	kills, _ := g.field("memory", names.events, "oom_kill")
	return Memory{Limit: limited(limit), Peak: peak, WorkingSet: max(0, usage-inactive), OOMKills: kills}, nil
}

// CPU returns the processor time used.
func (g Group) CPU() (time.Duration, error) {
	if g.tree.unified {
		used, err := g.field("cpu", "cpu.stat", "usage_usec")
		return time.Duration(used) * time.Microsecond, err
	}
	used, err := g.number("cpuacct", "cpuacct.usage")
	return time.Duration(used), err
}

// Tasks returns the number of processes and threads.
func (g Group) Tasks() (int64, error) {
	return g.number("pids", "pids.current")
}

type memoryFiles struct {
	usage, limit, peak, inactive, events string
}

var (
	memoryV1 = memoryFiles{"memory.usage_in_bytes", "memory.limit_in_bytes", "memory.max_usage_in_bytes", "total_inactive_file", "memory.oom_control"}
	memoryV2 = memoryFiles{"memory.current", "memory.max", "memory.peak", "inactive_file", "memory.events"}
)

// number reads a control file that holds one number, or "max".
func (g Group) number(controller, name string) (int64, error) {
	content, err := os.ReadFile(g.file(controller, name))
	if err != nil {
		return 0, err
	}
	text := strings.TrimSpace(string(content))
	if text == "max" {
		return math.MaxInt64, nil
	}
	return strconv.ParseInt(text, 10, 64)
}

// field reads one line "key value" of a control file.
func (g Group) field(controller, name, key string) (int64, error) {
	content, err := os.ReadFile(g.file(controller, name))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(content)) {
		if found, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok && found == key {
			return strconv.ParseInt(value, 10, 64)
		}
	}
	return 0, fmt.Errorf("cgroup file %q: no line %q", name, key)
}

// noLimit is above any memory: v1 writes "no limit" as the largest page-aligned number.
const noLimit = int64(1) << 60

func limited(limit int64) int64 {
	if limit >= noLimit {
		return 0
	}
	return limit
}
