//go:build e2e

package e2e

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// One coordinator, two agents and two ingresses, each a process on a host of its
// own: an image becomes names that answer on both ingresses.
func TestWholePath(t *testing.T) {
	c := newCluster(t, 2, 2)
	image := helloArchive(t, c.lab)
	c.ctl("deploy", "hello", "-f", "../examples/hello/runway.yml", "--image", image)
	host := "hello.default." + domain

	t.Run("both ingresses answer over HTTPS with a certificate of the cluster", func(t *testing.T) {
		c := c.in(t)
		for _, edge := range c.edges {
			got, err := c.get(edge, host, "/")
			if err != nil || got.status != http.StatusOK {
				t.Errorf("%s: %v %v", edge.name, got, err)
			}
			if got.header.Get("X-Runway-Revision") != "1" {
				t.Errorf("%s: revision header %q, want 1", edge.name, got.header.Get("X-Runway-Revision"))
			}
		}
	})
	t.Run("six replicas are spread over both nodes and all serve, by both ingresses", func(t *testing.T) {
		c := c.in(t)
		c.ctl("scale", "hello", "6")
		replicas := c.serving("hello", 6)
		perNode := map[string]int{}
		for _, r := range replicas {
			perNode[r.GetNodeName()]++
		}
		if len(perNode) != 2 || perNode["a1"] == 0 || perNode["a2"] == 0 {
			t.Errorf("replicas per node: %v", perNode)
		}
		for _, edge := range c.edges {
			eventually(t, 20*time.Second, "every replica answers by "+edge.name, c.everyReplicaAnswers(edge, host, replicas))
		}
	})
	t.Run("both DNS servers answer", func(t *testing.T) {
		c := c.in(t)
		for _, edge := range c.edges {
			for _, question := range []struct {
				kind uint16
				name string
				want []string
			}{
				{dns.TypeA, host, []string{"10.99.0.31", "10.99.0.32"}},
				{dns.TypeAAAA, host, []string{"2001:db8::31", "2001:db8::32"}},
				{dns.TypeSRV, "_https._tcp." + host, []string{"0 0 443 " + dns.Fqdn(host)}},
				{dns.TypeTXT, domain, []string{c.generationText(edge)}},
				{dns.TypeA, "absent.default." + domain, nil},
			} {
				if got := c.lookup(edge, question.kind, question.name); !slices.Equal(got, question.want) {
					t.Errorf("%s %s from %s: %v, want %v", dns.TypeToString[question.kind], question.name, edge.name, got, question.want)
				}
			}
		}
	})
	t.Run("one service calls another by its internal name", func(t *testing.T) {
		c := c.in(t)
		c.ctl("deploy", "caller", "-f", "../examples/hello/runway.yml", "--image", image)
		path := "/call?" + url.Values{"url": {"http://hello.default.internal/"}}.Encode()
		got, err := c.get(c.edges[0], "caller.default."+domain, path)
		if err != nil || got.status != http.StatusOK {
			t.Fatalf("call by internal name: %v %v", got, err)
		}
		callee, called := strings.CutPrefix(strings.TrimSpace(got.body), "hello.default.internal said 200 OK: Hello from ")
		replicas, err := c.rows("hello")
		if err != nil || !called || !slices.ContainsFunc(replicas, func(r *runwayv1.Replica) bool { return r.GetId() == callee }) {
			t.Errorf("answered: %q, want one of %v (%v)", got.body, replicas, err)
		}
	})
	t.Run("the service and everything of it can be deleted", func(t *testing.T) {
		c := c.in(t)
		c.ctl("delete", "hello", "-y")
		c.ctl("delete", "caller", "-y")
		eventually(t, 60*time.Second, "no replica is left", func() error {
			for i := range c.nodes {
				if left := c.containers(i); len(left) > 0 {
					return fmt.Errorf("containers on %s: %v", c.nodes[i].name, left)
				}
			}
			return nil
		})
	})
}

// serving waits until so many replicas of a service serve.
func (c *cluster) serving(service string, count int) (replicas []*runwayv1.ReplicaView) {
	c.t.Helper()
	eventually(c.t, 60*time.Second, fmt.Sprintf("%d replicas of %s serve", count, service), func() (err error) {
		replicas, err = c.replicas(service)
		return servingCount(replicas, err, count)
	})
	return replicas
}

// everyReplicaAnswers asks once more, and returns an error until each has answered.
func (c *cluster) everyReplicaAnswers(edge host, name string, replicas []*runwayv1.ReplicaView) func() error {
	silent := map[string]bool{}
	for _, r := range replicas {
		silent[r.GetReplica().GetId()] = true
	}
	return func() error {
		got, err := c.get(edge, name, "/")
		if err != nil || got.status != http.StatusOK {
			c.t.Fatalf("ask %s: %v %v", edge.name, got, err)
		}
		_, who, _ := strings.Cut(strings.TrimSpace(got.body), " from ")
		delete(silent, who)
		if len(silent) > 0 {
			return fmt.Errorf("%v have not answered", slices.Collect(maps.Keys(silent)))
		}
		return nil
	}
}

// lookup asks the DNS server of an ingress and returns the data of the records.
func (c *cluster) lookup(edge host, kind uint16, name string) []string {
	c.t.Helper()
	reply, _, err := new(dns.Client).Exchange(new(dns.Msg).SetQuestion(dns.Fqdn(name), kind), edge.at(dnsPort))
	if err != nil {
		c.t.Fatalf("ask %s: %v", edge.name, err)
	}
	var data []string
	for _, record := range reply.Answer {
		data = append(data, strings.TrimPrefix(record.String(), record.Header().String()))
	}
	slices.Sort(data)
	return data
}

// generationText is what an ingress says in DNS of the routes that it uses.
func (c *cluster) generationText(edge host) string {
	c.t.Helper()
	generation, err := c.measured(edge, "runway_ingress_route_generation")
	if err != nil || generation == 0 {
		c.t.Fatalf("generation of %s: %v %v", edge.name, generation, err)
	}
	return strconv.Quote(fmt.Sprintf("generation=%d", uint64(generation)))
}
