//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// One coordinator, two agents and two ingresses, each a process on a host of its
// own: an image becomes names that answer on both ingresses.
func TestWholePath(t *testing.T) {
	c := newCluster(t, 2, 2)
	image := helloArchive(t, c.lab)
	c.ctl("deploy", "hello", "-f", "../examples/hello/runway.yml", "--image", image)
	host := "hello.default." + domain

	t.Run("both ingresses answer over HTTPS with a certificate of the cluster", func(t *testing.T) {
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
	t.Run("six replicas are spread over both nodes and all serve", func(t *testing.T) {
		c.ctl("scale", "hello", "6")
		var replicas []replicaRow
		eventually(t, 30*time.Second, "six replicas serve", func() (err error) {
			replicas, err = c.replicas("hello")
			return servingCount(replicas, err, 6)
		})
		perNode := map[string]int{}
		for _, r := range replicas {
			perNode[r.node()]++
		}
		if len(perNode) != 2 || perNode["a1"] == 0 || perNode["a2"] == 0 {
			t.Errorf("replicas per node: %v", perNode)
		}
	})
	t.Run("both DNS servers answer", func(t *testing.T) {
		for _, edge := range c.edges {
			message := new(dns.Msg).SetQuestion(dns.Fqdn(host), dns.TypeA)
			reply, _, err := new(dns.Client).Exchange(message, edge.at(dnsPort))
			if err != nil {
				t.Fatalf("ask %s: %v", edge.name, err)
			}
			if len(reply.Answer) != 2 {
				t.Errorf("%s: want the addresses of both ingresses, got %v", edge.name, reply.Answer)
			}
		}
	})
	t.Run("one service calls another by its internal name", func(t *testing.T) {
		c.ctl("deploy", "caller", "-f", "../examples/hello/runway.yml", "--image", image)
		path := "/call?" + url.Values{"url": {"http://hello.default.internal/"}}.Encode()
		got, err := c.get(c.edges[0], "caller.default."+domain, path)
		if err != nil || got.status != http.StatusOK {
			t.Fatalf("call by internal name: %v %v", got, err)
		}
		if direct, err := c.get(c.edges[0], host, "/"); err != nil || !strings.Contains(got.body, strings.TrimSpace(direct.body)[:5]) {
			t.Errorf("the answer of the other service is missing: %q, %v", got.body, err)
		}
	})
	t.Run("the service and everything of it can be deleted", func(t *testing.T) {
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
