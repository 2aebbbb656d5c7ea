//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// replicaRow is what `runwayctl ps -o json` says of one replica, as far as tests ask.
type replicaRow struct {
	NodeName string `json:"node_name"`
	Replica  struct {
		ID     string `json:"id"`
		Status struct {
			Ready   bool   `json:"ready"`
			Attempt uint32 `json:"attempt"`
		} `json:"status"`
		Routing struct {
			Serving bool `json:"serving"`
		} `json:"routing"`
	} `json:"replica"`
}

func (r replicaRow) node() string { return r.NodeName }

// replicas returns the replicas of a service that are not gone.
func (c *cluster) replicas(service string) ([]replicaRow, error) {
	var reply struct {
		Replicas []replicaRow `json:"replicas"`
	}
	err := c.json(&reply, "ps", service)
	return reply.Replicas, err
}

// servingCount returns an error unless exactly count replicas exist and serve.
func servingCount(replicas []replicaRow, err error, count int) error {
	if err != nil {
		return err
	}
	serving := 0
	for _, r := range replicas {
		if r.Replica.Status.Ready && r.Replica.Routing.Serving {
			serving++
		}
	}
	if serving != count || len(replicas) != count {
		return fmt.Errorf("%d of %d replicas serve, want %d", serving, len(replicas), count)
	}
	return nil
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
