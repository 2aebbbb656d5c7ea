//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	// looping is how many replicas crash again and again, and loopingCost the part of one
	// core that their agent may take for that.
	looping     = 50
	loopingCost = 0.02
	// loopingWait is how long each waits once its back-off has grown, on average: three
	// quarters of two minutes. What that costs is told from what attempts cost before.
	loopingWait = 90 * time.Second
	// loopingFrom is when the agent is measured after the crash of all, and for how long.
	loopingFrom = 8 * time.Second
	loopingFor  = 15 * time.Second
)

// RELIABILITY row B13. Fifty replicas that were ready exit at once whenever they are
// started again: their agent waits longer and longer and has little to do.
func TestB13_FiftyCrashLoopsCostTheAgentLittle(t *testing.T) {
	c := newCluster(t, 1, 1)
	idle, _ := c.agents[0].busyFor(t, 3*time.Second, func() int { return 0 })
	service := &rolled{c: c, history: &history{}}
	from := time.Now().Add(20 * time.Second) // all are ready by then
	c.ctl(service.deployLooping(from)...)
	c.ctl("scale", rollingService, fmt.Sprint(looping))
	eventually(t, time.Until(from), "all replicas serve", func() error {
		rows, err := c.replicas(rollingService)
		return servingCount(rows, err, looping)
	})
	pause(time.Until(from))
	c.killAll()
	pause(loopingFrom)
	loops, made := c.agents[0].busyFor(t, loopingFor, c.attempts)
	if made < looping/2 {
		t.Fatalf("only %d attempts were made in %s: nothing was shown", made, loopingFor)
	}
	each := (loops - idle) * loopingFor.Seconds() / float64(made)
	cost := idle + each*looping/loopingWait.Seconds()
	t.Logf("idle %.2f %% of a core; %d attempts took %.1f ms each; with %d in %s that is %.2f %%", 100*idle, made, 1000*each, looping, loopingWait, 100*cost)
	if cost > loopingCost {
		t.Errorf("the agent takes %.2f %% of a core, want at most %.0f %%", 100*cost, 100*loopingCost)
	}
}

// killAll ends the process of every replica.
func (c *cluster) killAll() {
	c.t.Helper()
	for _, container := range c.containers(0) {
		pid, err := strconv.Atoi(strings.Fields(container)[1])
		if err == nil {
			err = syscall.Kill(pid, syscall.SIGKILL)
		}
		if err != nil {
			c.t.Fatalf("kill %s: %v", container, err)
		}
	}
}

// busyFor returns the part of one core that the process takes, and by how much a count
// grows meanwhile.
func (p *process) busyFor(t testing.TB, d time.Duration, count func() int) (part float64, grown int) {
	t.Helper()
	began, before, first := time.Now(), p.cpu(t), count()
	pause(d)
	part = (p.cpu(t) - before).Seconds() / time.Since(began).Seconds()
	return part, count() - first
}

// deployLooping writes the manifest of a service whose replicas exit at once when they
// begin from then on, and returns how to deploy it.
func (r *rolled) deployLooping(from time.Time) []string {
	r.c.t.Helper()
	text := strings.NewReplacer("cpu: 2000m", "cpu: 200m", "memory: 128Mi", "memory: 64Mi", "max_instances: 20", fmt.Sprintf("max_instances: %d", looping)).Replace(rollingManifest)
	dir := r.c.manifest(rollingService, text, fmt.Sprintf("NAME: looping\nBREAK: exit\nBREAK_FROM: %q\n", from.Format(time.RFC3339Nano)))
	return []string{"deploy", rollingService, "-f", dir, "--image", serviceArchive(r.c.t, r.c.lab)}
}

// attempts is how many attempts all replicas have had.
func (c *cluster) attempts() int {
	c.t.Helper()
	rows, err := c.rows(rollingService)
	if err != nil {
		c.t.Fatal(err)
	}
	if len(rows) != looping {
		c.t.Errorf("%d replicas, want %d", len(rows), looping)
	}
	all := 0
	for _, r := range rows {
		all += int(r.GetStatus().GetAttempt())
	}
	return all
}

// cpu is the time that the process, and none of its children, has had on a core.
func (p *process) cpu(t testing.TB) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.pid()))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	var ticks int64
	for _, field := range fields[11:13] { // user and system time
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			t.Fatalf("read the time of %s: %v", p.name, err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / clockTicks
}

// clockTicks are the kernel's per second in /proc, on every architecture that Go has.
const clockTicks = 100
