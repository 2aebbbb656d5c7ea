package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// memory of one process, in bytes.
type memory struct {
	// anonymous is what the process alone holds; pss adds its part of shared pages.
	anonymous, pss float64
}

// memories are those of the platform's processes.
type memories map[string]memory

func (m memories) anonymous() float64 {
	total := 0.0
	for _, one := range m {
		total += one.anonymous
	}
	return total
}

// measureIdle reads the processes at rest. The floor is the example's own process:
// a small Go web service.
func measureIdle(ctx context.Context, c *cluster, _ options, r *report) error {
	key := serviceKey("bench-memory")
	if err := c.deployAndWait(ctx, key, 1); err != nil {
		return err
	}
	smallest, err := c.exampleMemory(ctx, key)
	if err != nil {
		return err
	}
	if err := c.remove(ctx, key); err != nil {
		return err
	}
	idle, err := c.memories(ctx)
	if err != nil {
		return err
	}
	c.idle = idle
	together := 0.0
	for i, component := range components {
		goals := []goal{goalCoordinator, goalAgent, goalIngress}
		own, err := heapOf(ctx, c.metrics[component])
		if err != nil {
			return err
		}
		r.add(row{what: "anonymous memory at rest, " + component, unit: bytes, measured: idle[component].anonymous, floor: smallest.anonymous, goal: goals[i],
			detail: []string{own.describe()}})
		r.add(row{what: "PSS at rest, " + component, unit: bytes, measured: idle[component].pss, floor: smallest.pss})
		together += idle[component].pss
	}
	r.add(row{what: "PSS at rest, all three", unit: bytes, measured: together, floor: smallest.pss, goal: goalTogether})
	return nil
}

// exampleMemory reads the process of the only replica of a service.
func (c *cluster) exampleMemory(ctx context.Context, key workload) (memory, error) {
	pids, err := c.replicaPIDs(ctx, key)
	if err != nil {
		return memory{}, err
	}
	return memoryOf(pids[0])
}

// memories reads the platform's processes after they came to rest.
func (c *cluster) memories(ctx context.Context) (memories, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(settle):
	}
	all := memories{}
	for _, component := range components {
		pid, err := c.pid(component)
		if err != nil {
			return nil, err
		}
		if all[component], err = memoryOf(pid); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func memoryOf(pid int) (memory, error) {
	file, err := os.Open(filepath.Join("/proc", strconv.Itoa(pid), "smaps_rollup"))
	if err != nil {
		return memory{}, fmt.Errorf("read memory of process %d: %w", pid, err)
	}
	defer file.Close()
	return readRollup(file)
}

// readRollup reads lines such as "Anonymous:   1234 kB".
func readRollup(text io.Reader) (memory, error) {
	var m memory
	lines := bufio.NewScanner(text)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) != 3 || fields[2] != "kB" {
			continue
		}
		amount, err := strconv.ParseFloat(fields[1], 64)
		if err != nil {
			return m, fmt.Errorf("read memory: %w", err)
		}
		switch fields[0] {
		case "Anonymous:":
			m.anonymous = amount * 1024
		case "Pss:":
			m.pss = amount * 1024
		}
	}
	if m.anonymous == 0 || m.pss == 0 {
		return m, fmt.Errorf("read memory: no amounts: %w", lines.Err())
	}
	return m, nil
}
