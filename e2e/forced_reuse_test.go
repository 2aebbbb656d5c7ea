//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// An ingress that is cut off from the coordinator goes on with its last routes, but
// asks the node whether a port still leads to the replica that they name. The port of
// a replica that is gone leads to one of another space here: by force, since the
// quarantine of ports never lets it come to that.
func TestB17_ForcedReuse(t *testing.T) {
	c := newCluster(t, 1, 2)
	newRolled(c, 1)
	edge := c.edges[0]
	victim := c.onlyReplica(rollingService)

	t.Run("a live session asks nothing", func(t *testing.T) {
		for range 20 {
			c.served(edge)
		}
		if got := c.checks(edge, "right") + c.checks(edge, "wrong") + c.checks(edge, "unknown"); got != 0 {
			t.Errorf("%v checks at the node", got)
		}
	})
	t.Run("cut off, it serves what the node confirms, or cannot deny", func(t *testing.T) {
		c.cutOff(edge)
		c.servedUntil(edge, "right")
		c.agents[0].kill9(t)
		c.servedUntil(edge, "unknown")
		c.agents[0].run(t)
		c.servedUntil(edge, "right")
		c.reunite(edge)
		c.awaitPhase("i1", runwayv1.IngressPhase_INGRESS_PHASE_LIVE)
	})

	c.cutOff(edge) // before the service is deleted: what waits in a socket would tell of it
	signal(t, c.ingresses[0], syscall.SIGSTOP)
	frozen := true
	thaw := func() {
		if frozen {
			signal(t, c.ingresses[0], syscall.SIGCONT)
			frozen = false
		}
	}
	defer thaw()                                            // the lab can only be closed with every process awake
	deleted := c.background("delete", rollingService, "-y") // it waits for the port, which the frozen one may know
	eventually(t, 60*time.Second, "the replica is gone", func() error { return c.noneOf([]*runwayv1.Replica{victim}) })
	foreign := c.foreigner()
	for _, r := range foreign {
		if socket(r) == socket(victim) {
			t.Errorf("replica %s of another space has %s, which the frozen ingress may know", r.GetId(), socket(r))
		}
	}
	release := c.force(victim, foreign[0])
	defer release()

	t.Run("thawed, it gives nobody a foreign answer", func(t *testing.T) {
		c.trapped(edge, victim)
		answers := c.queue(edge, 20)
		thaw()
		refused := 0
		for answer := range answers {
			refused += c.refusedByIdentity(answer)
		}
		asked := 20
		for ; refused < 40 && asked < 300; asked++ { // while the agent repairs the port, it is closed
			refused += c.refusedByIdentity(<-c.queue(edge, 1))
		}
		if refused < 40 {
			t.Errorf("%d of %d answers say that the port leads elsewhere", refused, asked)
		}
		if c.checks(edge, "wrong") == 0 {
			t.Error("no wrong port was counted")
		}
		c.trapped(edge, victim)
	})
	t.Run("united with the coordinator it forgets the route", func(t *testing.T) {
		release()
		c.reunite(edge)
		eventually(t, 30*time.Second, "it knows that the service is gone", func() error {
			if got := <-c.queue(edge, 1); !strings.HasPrefix(got, "HTTP/1.1 404 ") {
				return fmt.Errorf("answer %q", got)
			}
			return nil
		})
		if end := <-deleted; end.err != nil {
			t.Error(end.err)
		}
	})
}

func (c *cluster) onlyReplica(service string) *runwayv1.Replica {
	c.t.Helper()
	rows, err := c.rows(service)
	if err != nil || len(rows) != 1 {
		c.t.Fatalf("%s has %d replicas, want 1: %v", service, len(rows), err)
	}
	return rows[0]
}

// served asks once; any answer but the service's own fails the test.
func (c *cluster) served(edge host) {
	c.t.Helper()
	if err := c.answers(edge); err != nil {
		c.t.Fatal(err)
	}
}

// servedUntil asks until another check had this result, and fails with the first
// request that is not served. Kept connections are proven: only what is made anew,
// when the ingress has let go of them, is checked.
func (c *cluster) servedUntil(edge host, result string) {
	c.t.Helper()
	before := c.checks(edge, result)
	eventually(c.t, 30*time.Second, "checks are "+result, func() error {
		c.served(edge)
		if got := c.checks(edge, result); got == before {
			pause(keptFor)
			return fmt.Errorf("none was since %v", got)
		}
		return nil
	})
}

// keptFor is longer than an ingress keeps a quiet connection to a replica.
const keptFor = 4500 * time.Millisecond

// checks is how many checks of an ingress had this result, by its own metric.
func (c *cluster) checks(edge host, result string) float64 {
	c.t.Helper()
	count, err := c.measured(edge, fmt.Sprintf("runway_ingress_identity_checks_total{result=%q}", result))
	if err != nil {
		c.t.Fatal(err)
	}
	return count
}

// cutOff lets nothing pass between a host and the coordinator, and reunite undoes it.
func (c *cluster) cutOff(h host) {
	c.t.Helper()
	netns := "--net=/run/netns/" + h.name
	run(c.t, "nsenter", netns, "nft", "add", "table", "ip", "cut")
	run(c.t, "nsenter", netns, "nft", "add", "chain", "ip", "cut", "in", "{ type filter hook input priority 0; }")
	run(c.t, "nsenter", netns, "nft", "add", "rule", "ip", "cut", "in", "ip", "saddr", coordinatorHost, "drop")
	run(c.t, "ip", "-n", h.name, "route", "add", "blackhole", coordinatorHost)
}

func (c *cluster) reunite(h host) {
	c.t.Helper()
	run(c.t, "ip", "-n", h.name, "route", "delete", "blackhole", coordinatorHost)
	run(c.t, "nsenter", "--net=/run/netns/"+h.name, "nft", "delete", "table", "ip", "cut")
}

const coordinatorHost = "10.99.0.10/32"

func (c *cluster) awaitPhase(ingress string, want runwayv1.IngressPhase) {
	c.t.Helper()
	eventually(c.t, 30*time.Second, ingress+" is "+want.String(), func() error {
		phase, err := c.ingressPhase(ingress)
		if err == nil && phase != want {
			err = fmt.Errorf("phase %s", phase)
		}
		return err
	})
}

// force leads the node port of a replica that is gone to another one, again and again
// as the agent repairs it. The returned function ends that.
func (c *cluster) force(gone, other *runwayv1.Replica) (release func()) {
	c.t.Helper()
	table := run(c.t, "nsenter", "--net=/run/netns/"+c.nodes[0].name, "nft", "list", "map", "inet", "runway_e2e_a1", "published")
	target := publishedTarget(c.t, table, other.GetPlan().GetNodePort())
	add := func(ctx context.Context) error {
		element := fmt.Sprintf("{ %d : %s }", gone.GetPlan().GetNodePort(), target)
		return c.nodes[0].command(ctx, "nft", "add", "element", "inet", "runway_e2e_a1", "published", element).Run()
	}
	ctx, cancel := context.WithCancel(context.Background())
	if err := add(ctx); err != nil {
		c.t.Fatalf("lead port %d to %s: %v", gone.GetPlan().GetNodePort(), target, err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			_ = add(ctx) // it may be there
			pause(20 * time.Millisecond)
		}
	}()
	return func() { cancel(); <-ended }
}

// publishedTarget finds where a port leads: "20001 : 10.64.1.3 . 8080".
func publishedTarget(t testing.TB, table string, port uint32) string {
	t.Helper()
	fields := strings.FieldsFunc(table, func(r rune) bool { return strings.ContainsRune(" ,{}=\n\t", r) })
	i := slices.Index(fields, fmt.Sprint(port))
	if i < 0 || i+4 >= len(fields) {
		t.Fatalf("port %d is not published:\n%s", port, table)
	}
	address, err := netip.ParseAddr(fields[i+2])
	if err != nil {
		t.Fatalf("port %d leads to %q:\n%s", port, fields[i+2], table)
	}
	return fmt.Sprintf("%s . %s", address, fields[i+4])
}

// trapped fails the test unless the port of the replica that is gone answers the
// ingress's own host with the foreign body: without a check that is what its clients
// would get.
func (c *cluster) trapped(edge host, gone *runwayv1.Replica) {
	c.t.Helper()
	script := fmt.Sprintf(`exec 3<>/dev/tcp/%s/%d; printf 'GET / HTTP/1.0\r\nHost: x\r\n\r\n' >&3; cat <&3`, c.nodes[0].address, gone.GetPlan().GetNodePort())
	eventually(c.t, 10*time.Second, "the port leads to the foreign replica", func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		output, err := edge.command(ctx, "bash", "-c", script).CombinedOutput()
		if err == nil && !strings.Contains(string(output), "foreign") {
			err = fmt.Errorf("answer %q", output)
		}
		return err
	})
}

// refusedByIdentity returns 1 for an answer that says that the port leads elsewhere.
// One of the foreign service fails the test; that the port was closed for a moment,
// as the agent repaired it, is neither.
func (c *cluster) refusedByIdentity(answer string) int {
	c.t.Helper()
	switch {
	case strings.Contains(answer, "foreign"):
		c.t.Errorf("a foreign answer: %q", answer)
	case !strings.HasPrefix(answer, "HTTP/1.1 502 "):
		c.t.Errorf("answer %q, want 502", answer)
	case strings.Contains(answer, "RW-4008"):
		return 1
	case !strings.Contains(answer, "RW-4003"):
		c.t.Errorf("answer %q, want RW-4008", answer)
	}
	return 0
}
