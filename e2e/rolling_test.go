//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// rollingScale is how much is asked of TestRolling_NoRequestIsLost. `make
// bench-rolling` sets it by environment variables.
type rollingScale struct {
	deployments int
	// requests and time are spread evenly over the deployments.
	requests int64
	least    time.Duration
	// rate is the most requests per second; half of it must be reached.
	rate int
}

func rollingScaleOf(t *testing.T) rollingScale {
	return rollingScale{
		deployments: number(t, "DEPLOYMENTS", 3),
		requests:    int64(number(t, "REQUESTS", 15_000)),
		least:       duration(t, "DURATION", 30*time.Second),
		rate:        number(t, "RATE", 1000),
	}
}

func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		t.Fatalf("%s=%q is not a number", name, text)
	}
	return n
}

func duration(t *testing.T, name string, otherwise time.Duration) time.Duration {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return d
}

// Clients that never retry load both ingresses while revision follows revision:
// none of their requests fails, whatever the kind of connection.
func TestRolling_NoRequestIsLost(t *testing.T) {
	scale := rollingScaleOf(t)
	c := newCluster(t, 2, 2)
	service := newRolled(c, 4)
	executed := c.keepLedger()
	load := c.startClientsWith(beside{streams: 4, life: time.Second, slow: 4}, scale.rate, c.edges...)

	began := time.Now()
	for done := 1; done <= scale.deployments; done++ {
		start := time.Now()
		c.ctl(service.next()...)
		took := time.Since(start)
		c.reported(service)
		load.reach(scale.requests*int64(done)/int64(scale.deployments), began.Add(scale.least*time.Duration(done)/time.Duration(scale.deployments)))
		now := load.now()
		fmt.Printf("deployment %d of %d: %s, %d requests so far, %d failed\n", done, scale.deployments, took.Round(time.Millisecond), now.Requests, now.Failed)
		if now.Failed > 0 {
			break
		}
	}
	got := load.stop()
	fmt.Printf("%d deployments\n%s", service.revision-1, got)
	got.judge(t, scale)
	executed.once(got.slow())
	for revision := 2; revision < service.revision; revision++ {
		if got.Revisions[strconv.Itoa(revision)] == 0 {
			t.Errorf("revision %d answered nothing", revision)
		}
	}
}

// reported fails the test unless the platform's own report of the newest deployment
// agrees with the clients: requests were served, and none failed.
func (c *cluster) reported(service *rolled) {
	c.t.Helper()
	eventually(c.t, 5*time.Second, "the deployment is reported", func() error {
		d, err := c.deployment(rollingService)
		if err == nil && (d.GetSpec().GetRevision() != uint64(service.revision) || d.GetReport() == nil) {
			err = fmt.Errorf("no report of revision %d", service.revision)
		}
		if err != nil {
			return err
		}
		if r := d.GetReport(); r.GetRequests() == 0 || r.GetFailed() > 0 {
			c.t.Errorf("revision %d: the platform reports %d requests, %d of them failed", service.revision, r.GetRequests(), r.GetFailed())
		}
		return nil
	})
}

// The checker must be able to turn red: a replica that is killed takes requests with
// it, and the clients see them.
func TestRolling_ALostRequestIsSeen(t *testing.T) {
	c := newCluster(t, 2, 2)
	newRolled(c, 1)
	load := c.startClients(300, c.edges...)
	containers := slices.Concat(c.containers(0), c.containers(1))
	if len(containers) != 1 {
		t.Fatalf("containers: %v", containers)
	}
	run(t, "kill", "-9", strings.Fields(containers[0])[1])
	eventually(t, 20*time.Second, "a failed request is counted", func() error {
		if load.now().Failed == 0 {
			return fmt.Errorf("none of %d", load.now().Requests)
		}
		return nil
	})
	if got := load.stop(); got.failures() == "" {
		t.Error("no failed request is described")
	}
}

// reach waits until so many requests were asked and the time has come.
func (l *clients) reach(requests int64, at time.Time) {
	l.c.t.Helper()
	longest := time.Until(at) + time.Duration(requests)*time.Second/100 + time.Minute
	eventually(l.c.t, longest, fmt.Sprintf("%d requests", requests), func() error {
		if s := l.now(); s.Failed == 0 && (s.Requests < requests || time.Now().Before(at)) {
			return fmt.Errorf("%d requests", s.Requests)
		}
		return nil
	})
}

// judge fails the test for a failed request, and for too few of them.
func (s loadSummary) judge(t *testing.T, scale rollingScale) {
	t.Helper()
	if s.Failed > 0 {
		t.Errorf("%d of %d requests failed:\n%s", s.Failed, s.Requests, s.failures())
	}
	if s.Requests < scale.requests {
		t.Errorf("%d requests, want %d", s.Requests, scale.requests)
	}
	if s.rate() < float64(scale.rate)/2 {
		t.Errorf("%.0f requests/s, want at least %d", s.rate(), scale.rate/2)
	}
	for _, row := range s.Rows {
		if share := s.Requests / int64(len(s.Rows)*2); row.Requests < share && !row.Unpaced {
			t.Errorf("%s %s asked only %d times of %d", row.Edge, row.Kind, row.Requests, s.Requests)
		}
	}
}
