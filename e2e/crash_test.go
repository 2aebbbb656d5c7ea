//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// comesBack is the time in which a part that was killed has to be whole again, from
// the moment at which its supervisor starts it.
const comesBack = 10 * time.Second

// kill -9 of each part, alone, while clients loop on an ingress that lives:
// containers keep their processes, the part comes back and converges, what was asked
// for stays as it was, nothing is made anew, and no request fails.
func TestCrash_NoPartTakesAServiceDown(t *testing.T) {
	c := newCluster(t, 2, 2)
	newRolled(c, 4)
	// A1, B1 and C5 are rows of the list of failures that the platform must survive:
	// the leader, an agent and an ingress that are killed.
	for _, part := range []struct {
		name    string
		process *process
	}{
		{"A1 coordinator", c.coordinator},
		{"B1 agent", c.agents[0]},
		{"C5 ingress", c.ingresses[0]},
	} {
		t.Run(part.name, func(t *testing.T) { c.in(t).survives(t, part.process) })
	}
}

// survives kills one process and compares what was with what is.
func (c *cluster) survives(t *testing.T, victim *process) {
	before := c.picture()
	if len(before.Containers) < 4 {
		t.Fatalf("containers of four replicas: %v", before.Containers)
	}
	load := c.startClients(200, c.edges[1])

	victim.kill9(t)
	pause(2 * time.Second) // the time in which it is missed
	victim.run(t)
	back := time.Now()
	eventually(t, comesBack, victim.name+" is whole again", func() error { return c.whole(victim) })
	took := time.Since(back)

	got := load.stop()
	t.Logf("%s was whole again after %s; %d requests, %d failed", victim.name, took.Round(time.Millisecond), got.Requests, got.Failed)
	if got.Requests < 200 || got.Failed > 0 {
		t.Errorf("%d requests, %d failed:\n%s", got.Requests, got.Failed, got.failures())
	}
	if took > comesBack {
		t.Errorf("%s was whole again only after %s, want at most %s", victim.name, took, comesBack)
	}
	if diff := cmp.Diff(before, c.picture()); diff != "" {
		t.Errorf("something changed (-before +after):\n%s", diff)
	}
}

// RELIABILITY row B1. An agent that is killed again and again under load: no process
// of a replica ends or begins, no replica is made anew, no request fails. KILLS=100 is
// the row's number.
func TestB1_AgentKilledAgainAndAgain(t *testing.T) {
	c := newCluster(t, 1, 1)
	newRolled(c, 4)
	before := c.picture()
	load := c.startClients(500, c.edges...)
	agent := c.agents[0]
	for n := range number(t, "KILLS", 10) {
		agent.kill9(t)
		pause(time.Duration(n%4) * 300 * time.Millisecond)
		agent.run(t)
		eventually(t, comesBack, "the agent is whole again", func() error { return c.whole(agent) })
		if diff := cmp.Diff(before, c.picture()); diff != "" {
			t.Fatalf("kill %d changed something (-before +after):\n%s", n+1, diff)
		}
	}
	if got := load.stop(); got.Requests < 1000 || got.Failed > 0 {
		t.Errorf("%d requests, %d failed:\n%s", got.Requests, got.Failed, got.failures())
	}
}

// picture is what no crash of a part of the platform may change.
type picture struct {
	// Containers are the processes of all replicas, by the kernel's word.
	Containers []string
	// Replicas are identifiers and attempts: another one was made anew.
	Replicas []string
	// What was asked for: a count, a revision, and nothing more than once.
	Wanted, Revision, Serving, Deployments int
}

func (c *cluster) picture() picture {
	c.t.Helper()
	p := picture{Containers: c.everyContainer()}
	replicas, err := c.rows(rollingService)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, r := range replicas {
		p.Replicas = append(p.Replicas, fmt.Sprintf("%s attempt %d on port %d", r.GetId(), r.GetStatus().GetAttempt(), r.GetPlan().GetNodePort()))
	}
	slices.Sort(p.Replicas)
	var service runwayv1.ServiceView
	var deployments runwayv1.ListDeploymentsResponse
	if err := errors.Join(c.decode(&service, "status", rollingService), c.decode(&deployments, "deployments", "list", rollingService)); err != nil {
		c.t.Fatal(err)
	}
	p.Wanted, p.Revision = int(service.GetWanted()), int(service.GetRevision().GetNumber())
	p.Serving, p.Deployments = int(service.GetWorkload().GetServingRevision()), len(deployments.GetDeployments())
	return p
}

// whole returns an error unless every part is connected with the coordinator of now
// and does its work: what the state remembers of the time before is no answer, so
// that each process is asked itself.
func (c *cluster) whole(victim *process) error {
	if err := c.united(victim); err != nil {
		return err
	}
	for _, edge := range c.edges {
		if err := c.answers(edge); err != nil {
			return err
		}
	}
	replicas, err := c.replicas(rollingService)
	return servingCount(replicas, err, 4)
}

// united returns an error unless a process runs and everybody follows the coordinator.
func (c *cluster) united(p *process) error {
	if err := p.running(); err != nil {
		return err
	}
	if err := c.agentsBeat(); err != nil {
		return err
	}
	return c.ingressesFollow()
}

// agentsBeat returns an error unless every agent has a session, its node is ready
// and the leader hears it: only it knows the last beat, since it leads.
func (c *cluster) agentsBeat() error {
	for _, node := range c.nodes {
		if err := c.isOne(node, "runway_agent_session_connected"); err != nil {
			return err
		}
	}
	var reply runwayv1.ListNodesResponse
	if err := c.decode(&reply, "nodes", "list"); err != nil {
		return err
	}
	ready := map[string]uint64{}
	for _, view := range reply.GetNodes() {
		n := view.GetNode()
		if n.GetStatus().GetPhase() != runwayv1.NodePhase_NODE_PHASE_READY {
			return fmt.Errorf("node %s is %s", n.GetName(), n.GetStatus().GetPhase())
		}
		if age := time.Since(view.GetLastBeat().AsTime()); age > 2*time.Second {
			return fmt.Errorf("node %s was last heard %s ago", n.GetName(), age)
		}
		ready[n.GetName()] = n.GetStatus().GetEpoch()
	}
	if len(ready) != len(c.nodes) {
		return fmt.Errorf("nodes with their epochs: %v", ready)
	}
	return nil
}

// ingressesFollow returns an error unless every ingress is live, has a session, and
// uses the same newest generation as the others, with every certificate.
func (c *cluster) ingressesFollow() error {
	ingresses, err := c.listed()
	if err != nil {
		return err
	}
	for _, i := range ingresses {
		if i.GetStatus().GetPhase() != runwayv1.IngressPhase_INGRESS_PHASE_LIVE {
			return fmt.Errorf("ingress %s is %s", i.GetName(), i.GetStatus().GetPhase())
		}
	}
	generations := map[float64]bool{}
	for _, edge := range c.edges {
		if err := c.isOne(edge, "runway_ingress_session_up"); err != nil {
			return err
		}
		generation, err := c.measured(edge, "runway_ingress_route_generation")
		if err != nil {
			return err
		}
		generations[generation] = true
	}
	if len(generations) != 1 || generations[0] {
		return fmt.Errorf("generations in use: %v", slices.Collect(maps.Keys(generations)))
	}
	return nil
}

// isOne returns an error unless a gauge on the metrics page of a process is 1.
func (c *cluster) isOne(h host, gauge string) error {
	value, err := c.measured(h, gauge)
	if err == nil && value != 1 {
		err = fmt.Errorf("%s: %s is %v", h.name, gauge, value)
	}
	return err
}

// measured is a value on the metrics page of a process.
func (c *cluster) measured(h host, name string) (float64, error) {
	response, err := (&http.Client{Timeout: 3 * time.Second}).Get("http://" + h.at(metricsPort) + "/metrics")
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	page, err := io.ReadAll(io.LimitReader(response.Body, 4<<20))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(page)) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), name+" "); ok {
			return strconv.ParseFloat(text, 64)
		}
	}
	return 0, fmt.Errorf("%s has no %s", h.name, name)
}
