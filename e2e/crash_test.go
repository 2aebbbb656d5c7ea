//go:build e2e

package e2e

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// kill -9 of each part, alone, while clients loop on an ingress that lives:
// containers keep their processes, the part comes back and converges, nothing is
// made anew, and no request fails.
func TestCrash_NoPartTakesAServiceDown(t *testing.T) {
	c := newCluster(t, 2, 2)
	c.ctl("deploy", "hello", "-f", "../examples/hello/runway.yml", "--image", helloArchive(t, c.lab))
	c.ctl("scale", "hello", "4")
	eventually(t, 30*time.Second, "four replicas serve", func() error {
		replicas, err := c.replicas("hello")
		return servingCount(replicas, err, 4)
	})
	parts := []struct {
		name    string
		process *process
	}{
		{"coordinator", c.coordinator},
		{"agent", c.agents[0]},
		{"ingress", c.ingresses[0]},
	}
	for _, part := range parts {
		t.Run(part.name, func(t *testing.T) {
			before := slices.Concat(c.containers(0), c.containers(1))
			load := c.load(c.edges[1], "hello.default."+domain)

			part.process.kill9()
			pause(2 * time.Second) // the time in which it is missed
			part.process.run()
			eventually(t, 10*time.Second, part.name+" converges", func() error {
				replicas, err := c.replicas("hello")
				if err := servingCount(replicas, err, 4); err != nil {
					return err
				}
				return c.complete(2, 2)
			})

			requests, failures := load.stop()
			if requests < 50 || len(failures) > 0 {
				t.Errorf("%d requests, %d failed: %v", requests, len(failures), failures)
			}
			if after := slices.Concat(c.containers(0), c.containers(1)); !slices.Equal(before, after) {
				t.Errorf("containers changed:\nbefore %v\nafter  %v", before, after)
			}
		})
	}
}

// load is a client that asks one ingress again and again, each time on a new
// connection and never twice for the same answer.
type load struct {
	ctl      chan struct{}
	workers  sync.WaitGroup
	requests atomic.Int64
	mu       sync.Mutex
	failures []string
}

// load starts four workers; stop ends them.
func (c *cluster) load(edge host, name string) *load {
	l := &load{ctl: make(chan struct{})}
	for range 4 {
		l.workers.Go(func() {
			for {
				select {
				case <-l.ctl:
					return
				default:
				}
				l.ask(c, edge, name)
			}
		})
	}
	return l
}

func (l *load) ask(c *cluster, edge host, name string) {
	l.requests.Add(1)
	got, err := c.get(edge, name, "/")
	if err == nil && got.status == 200 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.failures) < 10 {
		l.failures = append(l.failures, fmt.Sprint(got.status, " ", err))
	}
}

func (l *load) stop() (int64, []string) {
	close(l.ctl)
	l.workers.Wait()
	return l.requests.Load(), l.failures
}
