//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// RELIABILITY row C5. A new process takes the place of an ingress under load: nothing
// is refused, nothing is lost, and the old one ends by itself.
func TestC5_ANewProcessTakesOver(t *testing.T) {
	c := newCluster(t, 1, 1)
	newRolled(c, 2)
	load := c.startClients(600, c.edges...)
	const each = 80
	streams := c.startStreams(c.edges[0], each)
	old := c.ingresses[0]
	for range 2 {
		next := c.beside(old)
		old.awaitEnd(t, 20*time.Second)
		load.reach(load.now().Requests+600, time.Now().Add(2*time.Second))
		old = next
	}
	streams.stop()
	streams.judge(t, 4*each)
	got := load.stop()
	fmt.Print(got)
	if got.Failed > 0 {
		t.Errorf("%d of %d requests failed:\n%s", got.Failed, got.Requests, got.failures())
	}
}

// The checker must be able to turn red: without the way between the two processes,
// clients find nobody.
func TestC5_WithoutHandOverRequestsAreLost(t *testing.T) {
	c := newCluster(t, 1, 1)
	newRolled(c, 1)
	load := c.startClients(300, c.edges...)
	if err := os.Remove(filepath.Join(c.dir, c.ingresses[0].name, "handover.sock")); err != nil {
		t.Fatal(err)
	}
	c.ingresses[0].stop(t)
	c.beside(c.ingresses[0])
	eventually(t, 20*time.Second, "a failed request is counted", func() error {
		if load.now().Failed == 0 {
			return fmt.Errorf("none of %d", load.now().Requests)
		}
		return nil
	})
	load.stop()
}

// beside starts another process with the configuration of one that runs.
func (c *cluster) beside(p *process) *process {
	c.t.Helper()
	return c.process(p.name, p.start)
}

// awaitEnd waits until the program has ended by itself, and well.
func (p *process) awaitEnd(t testing.TB, most time.Duration) {
	t.Helper()
	select {
	case err := <-p.ended:
		if err != nil {
			t.Errorf("%s ended with %v", p.name, err)
		}
		p.ended = nil
	case <-time.After(most):
		t.Errorf("%s still runs after %s", p.name, most)
	}
}
