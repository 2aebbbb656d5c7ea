//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// replicas returns the replicas of a service that are not gone, with their nodes.
func (c *cluster) replicas(args ...string) ([]*runwayv1.ReplicaView, error) {
	var reply runwayv1.ListReplicasResponse
	err := c.decode(&reply, append([]string{"ps"}, args...)...)
	return reply.GetReplicas(), err
}

// rows are the replicas without their nodes.
func (c *cluster) rows(args ...string) ([]*runwayv1.Replica, error) {
	views, err := c.replicas(args...)
	var all []*runwayv1.Replica
	for _, view := range views {
		all = append(all, view.GetReplica())
	}
	return all, err
}

// servingCount returns an error unless exactly count replicas exist and serve.
func servingCount(replicas []*runwayv1.ReplicaView, err error, count int) error {
	if err != nil {
		return err
	}
	serving := 0
	for _, r := range replicas {
		if r.GetReplica().GetStatus().GetReady() && r.GetReplica().GetRouting().GetServing() {
			serving++
		}
	}
	if serving != count || len(replicas) != count {
		return fmt.Errorf("%d of %d replicas serve, want %d", serving, len(replicas), count)
	}
	return nil
}

// everyContainer returns what runs on all nodes, as containers does.
func (c *cluster) everyContainer() []string {
	var all []string
	for i := range c.nodes {
		all = slices.Concat(all, c.containers(i))
	}
	return all
}

// containers returns what runs on a node, as "container pid start-time", from the
// kernel and not from any part of the product.
func (c *cluster) containers(node int) []string {
	parent := fmt.Sprintf("/sys/fs/cgroup/pids/runway-e2e/a%d", node+1)
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		parent = fmt.Sprintf("/sys/fs/cgroup/runway-e2e/a%d", node+1)
	}
	files, _ := filepath.Glob(parent + "/*/cgroup.procs")
	var all []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it ended meanwhile
		}
		for _, pid := range strings.Fields(string(text)) {
			all = append(all, filepath.Base(filepath.Dir(file))+" "+pid+" "+startTime(pid))
		}
	}
	sort.Strings(all)
	return all
}

// startTime is when a process was started, in the kernel's ticks since boot.
func startTime(pid string) string {
	text, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return "gone"
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 20 {
		return "unknown"
	}
	return fields[19]
}
