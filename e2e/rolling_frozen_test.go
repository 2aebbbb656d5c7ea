//go:build e2e

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// An ingress that stands still has confirmed nothing: as long as it is not lost,
// the replicas that it may send to run on. Once it is lost it holds nothing up, and
// when it comes back with its old routes, nothing of it reaches a foreign replica.
func TestRolling_FrozenIngress(t *testing.T) {
	c := newCluster(t, 2, 2)
	service := newRolled(c, 2)
	old, err := c.rows(rollingService)
	if err != nil {
		t.Fatal(err)
	}
	load := c.startClients(200, c.edges[1])

	signal(t, c.ingresses[0], syscall.SIGSTOP)
	frozen := true
	thaw := func() {
		if frozen {
			signal(t, c.ingresses[0], syscall.SIGCONT)
			frozen = false
		}
	}
	defer thaw() // the lab can only be closed with every process awake
	deployed := c.background(service.next()...)

	t.Run("old replicas run while it may send to them", func(t *testing.T) { c.in(t).oldLive(t, old) })
	t.Run("the deployment goes on without it", func(t *testing.T) {
		c := c.in(t)
		if end := <-deployed; end.err != nil {
			t.Fatal(end.err)
		}
		eventually(t, 40*time.Second, "old replicas are gone", func() error { return c.noneOf(old) })
	})
	foreign := c.foreigner()
	t.Run("the ports that it may know are given to nobody", func(t *testing.T) {
		c := c.in(t)
		for _, theirs := range foreign {
			for _, ours := range old {
				if socket(theirs) == socket(ours) {
					t.Errorf("replica %s of another space has %s of %s", theirs.GetId(), socket(theirs), ours.GetId())
				}
			}
		}
		if err := c.released(old, false); err != nil {
			t.Error(err)
		}
	})
	t.Run("what waits for it when it comes back reaches no foreign replica", func(t *testing.T) {
		c := c.in(t)
		answers := c.queue(c.edges[0], 40)
		thaw()
		for answer := range answers {
			if !strings.HasPrefix(answer, "HTTP/1.1 ") || strings.Contains(answer, "foreign") {
				t.Errorf("neither an answer of the service nor an error: %q", answer)
			}
		}
		eventually(t, 10*time.Second, "it serves the new revision", func() error {
			phase, err := c.ingressPhase("i1")
			if err == nil && phase != runwayv1.IngressPhase_INGRESS_PHASE_LIVE {
				err = fmt.Errorf("phase %s", phase)
			}
			if err != nil {
				return err
			}
			got, err := c.get(c.edges[0], rollingPublic, "/")
			if err == nil && !strings.HasPrefix(got.body, "rolling/2\n") {
				err = fmt.Errorf("%d %q", got.status, got.body)
			}
			return err
		})
		eventually(t, 10*time.Second, "the ports are free again", func() error { return c.released(old, true) })
	})
	if got := load.stop(); got.Failed > 0 {
		t.Errorf("%d of %d requests failed on the ingress that lived:\n%s", got.Failed, got.Requests, got.failures())
	}
}

// oldLive looks again and again until the frozen ingress is lost. The containers
// are read before the phase: they ran at a time at which it was not lost. It also
// takes that a new replica was ready by then, or nothing was held back.
func (c *cluster) oldLive(t *testing.T, old []*runwayv1.Replica) {
	looks, ready := 0, 0
	eventually(t, 15*time.Second, "the ingress is lost", func() error {
		missing := c.missing(old)
		rows, err := c.rows(rollingService)
		if err != nil {
			return err
		}
		phase, err := c.ingressPhase("i1")
		if err != nil {
			return err
		}
		if phase == runwayv1.IngressPhase_INGRESS_PHASE_LOST {
			return nil
		}
		looks++
		if slices.ContainsFunc(rows, func(r *runwayv1.Replica) bool { return r.GetRevision() == 2 && r.GetStatus().GetReady() }) {
			ready++
		}
		if len(missing) > 0 {
			t.Errorf("the ingress is %s, and containers of %v are gone", phase, missing)
		}
		return fmt.Errorf("it is %s", phase)
	})
	if looks < 5 || ready == 0 {
		t.Errorf("%d looks, %d of them with a new replica that was ready: nothing was shown", looks, ready)
	}
}

// missing returns the replicas without a process, by the kernel's word.
func (c *cluster) missing(replicas []*runwayv1.Replica) []string {
	all := slices.Concat(c.containers(0), c.containers(1))
	var missing []string
	for _, r := range replicas {
		if !slices.ContainsFunc(all, func(container string) bool { return strings.HasPrefix(container, r.GetId()) }) {
			missing = append(missing, r.GetId())
		}
	}
	return missing
}

// noneOf returns an error while one of the replicas has a process.
func (c *cluster) noneOf(replicas []*runwayv1.Replica) error {
	if missing := c.missing(replicas); len(missing) < len(replicas) {
		return fmt.Errorf("only %v of %d are gone", missing, len(replicas))
	}
	return nil
}

// released returns an error unless the quarantine of the replicas' ports is, or is
// not, over.
func (c *cluster) released(replicas []*runwayv1.Replica, want bool) error {
	rows, err := c.rows(rollingService, "--all")
	if err != nil {
		return err
	}
	for _, r := range replicas {
		i := slices.IndexFunc(rows, func(row *runwayv1.Replica) bool { return row.GetId() == r.GetId() })
		got := i < 0 || rows[i].GetRouting().GetReleased() // it is forgotten only then
		if got != want {
			return fmt.Errorf("port of %s: released %t, want %t", r.GetId(), got, want)
		}
	}
	return nil
}

// foreigner runs a service of another space, and returns its replicas.
func (c *cluster) foreigner() []*runwayv1.Replica {
	c.t.Helper()
	c.ctl("spaces", "create", "other")
	dir := c.manifest("foreign", strings.ReplaceAll(rollingManifest, "name: rolling", "name: foreign"), "NAME: foreign\n")
	c.ctl("-s", "other", "deploy", "foreign", "-f", dir, "--image", serviceArchive(c.t, c.lab))
	c.ctl("-s", "other", "scale", "foreign", "8")
	var rows []*runwayv1.Replica
	eventually(c.t, 60*time.Second, "eight foreign replicas are ready", func() (err error) {
		rows, err = c.rows("foreign", "-s", "other")
		if ready := len(slices.DeleteFunc(slices.Clone(rows), func(r *runwayv1.Replica) bool { return !r.GetStatus().GetReady() })); err == nil && ready != 8 {
			err = fmt.Errorf("%d of %d replicas are ready", ready, len(rows))
		}
		return err
	})
	return rows
}

// socket is where a replica gets its requests.
func socket(r *runwayv1.Replica) string {
	return fmt.Sprintf("%s:%d", r.GetPlan().GetNode(), r.GetPlan().GetNodePort())
}

// queue sends requests to an ingress that stands still: the kernel takes them, so
// that they are the first thing it sees. It returns once all wait; the channel
// gives the bodies of the answers and is closed after the last.
func (c *cluster) queue(edge host, requests int) <-chan string {
	answers := make(chan string, requests)
	var waiting sync.WaitGroup
	for range requests {
		conn := c.dialInside(edge)
		fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", rollingInside)
		waiting.Go(func() {
			defer conn.Close()
			conn.SetReadDeadline(time.Now().Add(20 * time.Second)) //nolint:errcheck // a read that never ends fails the test
			answers <- readAll(conn)
		})
	}
	go func() { waiting.Wait(); close(answers) }()
	return answers
}

// signal sends a signal to one process of the lab.
func signal(t testing.TB, p *process, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(p.pid(), s); err != nil {
		t.Fatalf("%s to %s: %v", s, p.name, err)
	}
}
