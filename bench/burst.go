package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// burstLimit bounds a burst and its removal.
const burstLimit = 3 * time.Minute

// measureBurst deploys a service of many replicas and waits until every ingress
// routes to each of them, then reads what each one costs in memory.
func measureBurst(ctx context.Context, c *cluster, o options, r *report) error {
	ctx, cancel := context.WithTimeout(ctx, burstLimit)
	defer cancel()
	base, err := c.floor.burst(ctx, o.replicas)
	if err != nil {
		return fmt.Errorf("measure the floor: %w", err)
	}
	before, err := c.stepTimes(ctx)
	if err != nil {
		return err
	}
	key := serviceKey("bench-burst")
	begin := time.Now()
	deployment, err := c.begin(ctx, key, o.replicas)
	if err != nil {
		return err
	}
	last, err := c.follow(ctx, deployment, ignore)
	took := time.Since(begin)
	if err != nil {
		return err
	}
	after, err := c.stepTimes(ctx)
	if err != nil {
		return err
	}
	r.add(row{
		what: fmt.Sprintf("0 to %d replicas, each healthy and routed", o.replicas), unit: seconds, goal: goalBurst,
		measured: took.Seconds(), floor: base.Seconds(),
		detail: burstDetail(begin, last.GetReplicas(), after.minus(before)),
	})
	if err := c.measureFull(ctx, key, o, r); err != nil {
		return err
	}
	return c.remove(ctx, key)
}

// burstDetail says when the first and the last replica reached each stage.
func burstDetail(begin time.Time, replicas []*runwayv1.ReplicaView, spent stepTimes) []string {
	lines := []string{"floor: as many containers created and started side by side by containerd's client, without a network"}
	for _, stage := range []struct {
		name string
		at   func(*runwayv1.Replica) time.Time
	}{
		{"placed", func(r *runwayv1.Replica) time.Time { return r.GetMeta().GetCreatedAt().AsTime() }},
		{"started", func(r *runwayv1.Replica) time.Time { return r.GetStatus().GetStartedAt().AsTime() }},
		{"ready", func(r *runwayv1.Replica) time.Time { return r.GetStatus().GetReadyAt().AsTime() }},
		{"serving", func(r *runwayv1.Replica) time.Time { return r.GetMeta().GetModifiedAt().AsTime() }},
	} {
		reached := summarise(replicas, func(v *runwayv1.ReplicaView) time.Duration { return stage.at(v.GetReplica()).Sub(begin) })
		lines = append(lines, fmt.Sprintf("%-10s first at %v, median %v, last %v", stage.name, reached.least, reached.median, reached.most))
	}
	for _, step := range []string{"attach", "create", "start"} {
		lines = append(lines, fmt.Sprintf("in the agent's step %-7s %v each on average", step, (spent[step]/time.Duration(len(replicas))).Round(100*time.Microsecond)))
	}
	return lines
}

// measureFull reads what a replica adds to the platform's own processes. The floor
// is what containerd adds for it: its shim.
func (c *cluster) measureFull(ctx context.Context, key workload, o options, r *report) error {
	full, err := c.memories(ctx)
	if err != nil {
		return err
	}
	pids, err := c.replicaPIDs(ctx, key)
	if err != nil {
		return err
	}
	shims, err := shimMemory(pids)
	if err != nil {
		return err
	}
	var detail []string
	for _, component := range components {
		added := (full[component].anonymous - c.idle[component].anonymous) / float64(o.replicas)
		detail = append(detail, fmt.Sprintf("%-12s %s each, %s in all", component, bytes.format(added), bytes.format(full[component].anonymous)))
	}
	r.add(row{
		what: "memory that the platform adds per replica", unit: bytes, goal: goalPerReplica, detail: detail,
		measured: (full.anonymous() - c.idle.anonymous()) / float64(o.replicas), floor: shims / float64(o.replicas),
	})
	return nil
}

// shimMemory adds up the parents of the replicas' processes.
func shimMemory(pids []int) (float64, error) {
	total := 0.0
	for _, pid := range pids {
		shim, err := parent(pid)
		if err != nil {
			return 0, err
		}
		m, err := memoryOf(shim)
		if err != nil {
			return 0, err
		}
		total += m.anonymous
	}
	return total, nil
}

// parent of a process: the fourth field of its stat, the second after the name.
func parent(pid int) (int, error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0, fmt.Errorf("find parent of process %d: %w", pid, err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 2 {
		return 0, fmt.Errorf("find parent of process %d: %w", pid, fs.ErrInvalid)
	}
	return strconv.Atoi(fields[1])
}

// replicaPIDs returns the processes of a service's replicas. They are reported a
// moment after the replicas serve.
func (c *cluster) replicaPIDs(ctx context.Context, key workload) ([]int, error) {
	pause := time.NewTicker(removalPoll)
	defer pause.Stop()
	for {
		list, err := c.services.ListReplicas(ctx, &runwayv1.ListReplicasRequest{Workload: key})
		if err != nil {
			return nil, fmt.Errorf("list replicas: %w", err)
		}
		var pids []int
		for _, view := range list.GetReplicas() {
			pids = append(pids, int(view.GetReplica().GetStatus().GetPid()))
		}
		if len(pids) > 0 && !slices.Contains(pids, 0) {
			return pids, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the processes of %s: %w", key.GetService(), ctx.Err())
		case <-pause.C:
		}
	}
}
