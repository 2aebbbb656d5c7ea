//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/runway-platform/runway/failpoint"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// breach is a promise that real processes break on purpose, and what turns red.
type breach struct {
	broken failpoint.Point
	// parts are the processes that break it.
	parts func(*cluster) []*process
	// red returns what the checker of the promise says, "" when it says nothing.
	red func(*rolled) string
}

func coordinators(c *cluster) []*process { return []*process{c.coordinator} }
func agents(c *cluster) []*process       { return c.agents }
func ingresses(c *cluster) []*process    { return c.ingresses }

var breaches = []breach{
	{failpoint.SkipAcknowledgement, ingresses, (*rolled).lost},
	{failpoint.StopFirst, agents, (*rolled).lost},
	{failpoint.SkipDrain, coordinators, (*rolled).lost},
	{failpoint.DrainTooMany, coordinators, (*rolled).lost},
	{failpoint.ForgetUndo, coordinators, (*rolled).leftBehind},
	{failpoint.ReusePort, coordinators, (*rolled).freed},
}

// Each promise about requests, ports and undone deployments is broken on purpose by
// processes that are built for it, and what guards it in the other tests turns red,
// every time. It is green as long as nothing is broken.
func TestFailpoint_EveryBrokenPromiseIsSeen(t *testing.T) {
	c := newCluster(t, 1, 2)
	program := c.failpointProgram()
	t.Run("the product knows none", func(t *testing.T) { onlyIn(t, program, binary(t, "runway")) })
	service := newRolled(c, 2)
	for _, b := range breaches {
		t.Run(string(b.broken), func(t *testing.T) {
			service := service.in(t)
			defer service.ended()
			said := service.redWhile(program, b)
			if said == "" {
				t.Error("nobody noticed")
			}
			t.Log(said)
		})
	}
	t.Run("nothing is broken", func(t *testing.T) {
		service := service.in(t)
		service.c.breakBy(program, failpoint.None, slices.Concat(agents(c), ingresses(c), coordinators(c)))
		for _, red := range []func(*rolled) string{(*rolled).lost, (*rolled).freed, (*rolled).leftBehind} {
			if said := red(service); said != "" {
				t.Error(said)
			}
		}
		service.ended()
	})
}

// onlyIn fails the test unless the names of the failpoints are in one program, and not
// in the product: it breaks nothing on purpose.
func onlyIn(t *testing.T, program, product string) {
	names := []string{failpoint.Variable}
	for _, b := range breaches {
		names = append(names, string(b.broken))
	}
	for path, want := range map[string]bool{program: true, product: false} {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if got := bytes.Contains(content, []byte(name)); got != want {
				t.Errorf("%s has %q: %t, want %t", path, name, got, want)
			}
		}
	}
}

// redWhile returns what the checker says while the promise is broken. The product is back
// afterwards, also when the checker ends the test: the next one begins with it.
func (r *rolled) redWhile(program string, b breach) string {
	r.c.t.Helper()
	defer r.c.breakBy(program, b.broken, b.parts(r.c))()
	return b.red(r)
}

// failpointProgram builds the product with failpoints, for this lab.
func (c *cluster) failpointProgram() string {
	c.t.Helper()
	program := filepath.Join(c.dir, "runway-failpoint")
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	output, err := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-tags", "failpoint", "-o", program, "../cmd/runway").CombinedOutput()
	if err != nil {
		c.t.Fatalf("build with failpoints: %v\n%s", err, output)
	}
	return program
}

// breakBy has processes run the program with failpoints instead of the product. The
// function that it returns puts the product back.
func (c *cluster) breakBy(program string, broken failpoint.Point, parts []*process) (mend func()) {
	c.t.Helper()
	product := binary(c.t, "runway")
	var starts []func(context.Context) *exec.Cmd
	for _, p := range parts {
		start := p.start
		starts = append(starts, start)
		p.start = func(ctx context.Context) *exec.Cmd {
			command := start(ctx)
			command.Args[slices.Index(command.Args, product)] = program
			command.Env = append(os.Environ(), failpoint.Variable+"="+string(broken))
			return command
		}
	}
	c.again(parts)
	return func() {
		for i, p := range parts {
			p.start = starts[i]
		}
		c.again(parts)
	}
}

// again kills processes, starts them as they are started now, and waits until the
// service is whole.
func (c *cluster) again(parts []*process) {
	c.t.Helper()
	for _, p := range parts {
		p.kill9(c.t)
		p.run(c.t)
	}
	eventually(c.t, 30*time.Second, "the service is whole", func() error {
		for _, p := range parts {
			if err := c.united(p); err != nil {
				return err
			}
		}
		replicas, err := c.replicas(rollingService)
		return servingCount(replicas, err, 2)
	})
}

// lost deploys the next revision under load until that ends or a request is lost, and
// returns the lost ones.
func (r *rolled) lost() string {
	load := r.c.startClientsWith(beside{slow: 4}, 100, r.c.edges...)
	r.pending = r.c.background(r.next()...)
	eventually(r.c.t, time.Minute, "the deployment ends or a request is lost", func() error {
		if load.now().Failed > 0 || len(r.pending) > 0 {
			return nil
		}
		return fmt.Errorf("none of %d requests", load.now().Requests)
	})
	if got := load.stop(); got.Failed > 0 {
		return fmt.Sprintf("%d of %d requests were lost, such as\n%s", got.Failed, got.Requests, got.Described[0])
	}
	return ""
}

// ended waits until the deployment that lost has begun is over, and well.
func (r *rolled) ended() {
	if r.pending == nil {
		return
	}
	if end := <-r.pending; end.err != nil {
		r.c.t.Error(end.err)
	}
	r.pending = nil
}

// leftBehind deploys a revision that fails half-way, and returns what was not as before
// at the time at which the deployment ended.
func (r *rolled) leftBehind() string {
	out, err := r.c.try(r.nextOf(halfWay())...)
	if err == nil {
		r.c.t.Errorf("it did not fail half-way: %s", out)
	}
	d, err := r.c.deployment(rollingService)
	if err != nil {
		r.c.t.Fatal(err)
	}
	if phase := d.GetStatus().GetPhase(); phase != runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_ROLLED_BACK {
		r.c.t.Errorf("the deployment is %s", phase)
	}
	return r.asBefore(d)
}

// asBefore returns in what the service was not as before when its deployment was undone.
func (r *rolled) asBefore(d *runwayv1.Deployment) string {
	rows, err := r.c.rows(rollingService)
	if err != nil {
		r.c.t.Fatal(err)
	}
	ended, served := d.GetStatus().GetEndedAt().AsTime(), uint32(0)
	for _, row := range rows {
		if row.GetRevision() == d.GetSpec().GetPreviousRevision() && row.GetRouting().GetServing() && row.GetStatus().GetReadyAt().AsTime().Before(ended) {
			served++
		}
	}
	if before := d.GetStatus().GetBefore()[0].GetServing(); served < before {
		return fmt.Sprintf("%d replicas of revision %d served when the deployment ended, and %d before it", served, d.GetSpec().GetPreviousRevision(), before)
	}
	return ""
}

// freed deploys the next revision while an ingress stands still, and returns which
// ports it may know and are free.
func (r *rolled) freed() string {
	c := r.c
	rows, err := c.rows(rollingService)
	if err != nil {
		c.t.Fatal(err)
	}
	old := slices.DeleteFunc(rows, func(row *runwayv1.Replica) bool { return !row.GetRouting().GetServing() })
	if len(old) != 2 {
		c.t.Fatalf("%d replicas serve, want 2", len(old))
	}
	signal(c.t, c.ingresses[0], syscall.SIGSTOP)
	defer func() {
		signal(c.t, c.ingresses[0], syscall.SIGCONT)
		c.awaitPhase("i1", runwayv1.IngressPhase_INGRESS_PHASE_LIVE)
	}()
	c.ctl(r.next()...)
	eventually(c.t, 40*time.Second, "old replicas are gone", func() error { return c.noneOf(old) })
	if err := c.released(old, false); err != nil {
		return strings.TrimSpace(err.Error())
	}
	return ""
}
