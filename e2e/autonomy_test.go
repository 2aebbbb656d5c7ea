//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

// outage is how long every coordinator is gone, at least. The row says ten minutes,
// as does OUTAGE=10m.
const outage = 30 * time.Second

// RELIABILITY row C1. Every coordinator is gone, then both ingresses start again from
// their disks, then every replica dies: services are served on, named, encrypted, and
// started again where they were. What lives then outlives the coordinator's return.
func TestC1_EveryCoordinatorIsGone(t *testing.T) {
	c := newCluster(t, 2, 2)
	newRolled(c, 4)
	before := c.places(0)
	quarter := duration(t, "OUTAGE", outage) / 4

	c.coordinator.kill9(t)
	gone := time.Now()
	c.loaded("the coordinator is gone", quarter, c.edges, nothing)
	for i := range c.edges {
		other := c.edges[1-i]
		c.loaded("the other ingress starts from its disk", quarter, []host{other}, func() []death {
			c.restartIngress(i)
			return nil
		})
	}
	c.loaded("every replica dies", quarter, c.edges, func() (died []death) {
		for _, where := range before {
			died = append(died, c.restarted(where))
		}
		return died
	})
	for _, edge := range c.edges {
		c.servesAlone(edge, time.Since(gone))
	}

	alive := c.everyContainer()
	c.loaded("the coordinator comes back", quarter, c.edges, func() []death {
		c.coordinator.run(t)
		eventually(t, comesBack, "everything converges", func() error { return c.whole(c.coordinator) })
		return nil
	})
	if diff := cmp.Diff(alive, c.everyContainer()); diff != "" {
		t.Errorf("the return of the coordinator cost processes (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(before, c.places(1)); diff != "" {
		t.Errorf("replicas moved (-before +after):\n%s", diff)
	}
	for _, edge := range c.edges {
		if age, err := c.measured(edge, routeAge); err != nil || age != 0 {
			t.Errorf("%s says that its routes are %v s old, %v; want 0 in a session", edge.name, age, err)
		}
	}
}

// routeAge is how old the routes of an ingress may be.
const routeAge = "runway_ingress_route_age_seconds"

// place is where a replica is found.
type place struct{ Replica, Node, Address, Port string }

// places returns where every replica is, each of which must be in this attempt.
func (c *cluster) places(attempt uint32) []place {
	c.t.Helper()
	views, err := c.replicas(rollingService)
	if err != nil {
		c.t.Fatal(err)
	}
	var all []place
	for _, view := range views {
		r := view.GetReplica()
		if r.GetStatus().GetAttempt() != attempt {
			c.t.Errorf("replica %s is in attempt %d, want %d", r.GetId(), r.GetStatus().GetAttempt(), attempt)
		}
		all = append(all, place{r.GetId(), view.GetNodeName(), r.GetStatus().GetAddress(), fmt.Sprint(r.GetPlan().GetNodePort())})
	}
	slices.SortFunc(all, func(a, b place) int { return strings.Compare(a.Replica, b.Replica) })
	return all
}

// death is the time in which a replica's process went: requests that were with it
// then cannot be answered.
type death struct{ killed, gone time.Time }

func nothing() []death { return nil }

// loaded does something under load, for at least so long. The only requests that may
// fail are those that were with a process that was killed.
func (c *cluster) loaded(what string, least time.Duration, edges []host, do func() []death) {
	c.t.Helper()
	load := c.startClients(300, edges...)
	until := time.Now().Add(least)
	died := do()
	pause(time.Until(until))
	got := load.stop()
	lost := got.lostTo(died)
	c.t.Logf("%s: %d requests, %d of them with a process that was killed", what, got.Requests, lost)
	if got.Failed > lost || got.Requests < 200 {
		c.t.Errorf("%s: %d requests, %d failed, of which %d were with a process that was killed:\n%s", what, got.Requests, got.Failed, lost, got.failures())
	}
}

// lostTo counts the failed requests that were with a process when it was killed.
func (s loadSummary) lostTo(died []death) (lost int64) {
	for _, line := range s.Described {
		var f struct {
			Kind, Took string
			At         time.Time
		}
		if json.Unmarshal(line, &f) != nil || f.Kind != "status" {
			continue
		}
		took, err := time.ParseDuration(f.Took)
		if err != nil {
			continue
		}
		if slices.ContainsFunc(died, func(d death) bool { return f.At.Before(d.gone) && f.At.Add(took).After(d.killed) }) {
			lost++
		}
	}
	return lost
}

// restartIngress kills an ingress and waits until it serves, from its disk.
func (c *cluster) restartIngress(i int) {
	c.t.Helper()
	c.ingresses[i].kill9(c.t)
	pause(missed)
	c.ingresses[i].run(c.t)
	eventually(c.t, comesBack, "it serves", func() error { return c.answers(c.edges[i]) })
}

// answers returns an error unless an ingress answers for the service, encrypted by a
// certificate of the cluster.
func (c *cluster) answers(edge host) error {
	got, err := c.get(edge, rollingPublic, "/")
	if err == nil && (got.status != http.StatusOK || !strings.HasPrefix(got.body, rollingService+"/1\n")) {
		err = fmt.Errorf("%d %q", got.status, got.body)
	}
	if err != nil {
		return fmt.Errorf("ask %s: %w", edge.name, err)
	}
	return nil
}

// restarted kills the process of a replica and waits until its next attempt answers
// where it was, as an ingress sees it.
func (c *cluster) restarted(where place) (d death) {
	c.t.Helper()
	pid := c.processOf(where.Replica + "-0")
	d.killed = time.Now()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		c.t.Fatalf("kill replica %s: %v", where.Replica, err)
	}
	eventually(c.t, time.Second, "the process is gone", func() error {
		if syscall.Kill(pid, 0) == nil {
			return fmt.Errorf("process %d exists", pid)
		}
		return nil
	})
	d.gone = time.Now()
	node := c.nodes[slices.IndexFunc(c.nodes, func(h host) bool { return h.name == labHosts+where.Node })]
	eventually(c.t, comesBack, "it answers where it was", func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		output, err := c.edges[0].command(ctx, "curl", "-sS", "http://"+node.address.String()+":"+where.Port+"/").CombinedOutput()
		if err != nil || !strings.HasPrefix(string(output), rollingService+"/1\n") {
			return fmt.Errorf("%w %q", err, output)
		}
		return nil
	})
	c.processOf(where.Replica + "-1")
	return d
}

// processOf is the process of a container, which must have one.
func (c *cluster) processOf(container string) (pid int) {
	c.t.Helper()
	for _, line := range c.everyContainer() {
		if _, err := fmt.Sscanf(line, container+" %d", &pid); err == nil {
			return pid
		}
	}
	c.t.Fatalf("container %s does not run: %v", container, c.everyContainer())
	return 0
}

// servesAlone wants of an ingress without a coordinator that it answers, over TLS and
// DNS, and says how long it has been alone.
func (c *cluster) servesAlone(edge host, alone time.Duration) {
	c.t.Helper()
	if err := c.answers(edge); err != nil {
		c.t.Error(err)
	}
	if got, want := c.lookup(edge, dns.TypeA, rollingPublic), []string{"10.99.0.31", "10.99.0.32"}; !slices.Equal(got, want) {
		c.t.Errorf("DNS of %s: %v, want %v", edge.name, got, want)
	}
	age, err := c.measured(edge, routeAge)
	if err != nil || age < alone.Seconds()-1 || age > alone.Seconds()+20 {
		c.t.Errorf("%s says that its routes are %v s old, %v; it has been alone for %s", edge.name, age, err, alone)
	}
}
