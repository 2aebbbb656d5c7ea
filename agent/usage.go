package agent

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/runway-platform/runway/agent/runtime"
)

// usageEvery is how often the usage of replicas is read: as often as it is usually scraped.
const usageEvery = 15 * time.Second

// usage measures what each workload uses on this node. It reads labels of containers, not the worker's memory, so that what
// runs is measured, desired or not.
type usage struct {
	runtime runtime.Runtime
	metrics *Metrics
	log     *slog.Logger
	before  map[runtime.ContainerID]reading
}

// reading is the processor time of a container at one moment.
type reading struct {
	at  time.Time
	cpu time.Duration
}

// consumer names a workload in the metrics.
type consumer struct{ space, service, environment string }

type amount struct {
	cores  float64
	memory runtime.Bytes
}

func newUsage(deps Deps) *usage {
	return &usage{runtime: deps.Runtime, metrics: deps.Metrics, log: deps.Log, before: map[runtime.ContainerID]reading{}}
}

// Run measures until ctx ends.
func (u *usage) Run(ctx context.Context) error {
	tick := time.NewTicker(usageEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			if err := u.measure(ctx, time.Now()); err != nil && ctx.Err() == nil {
				u.log.Debug("usage was not read", "err", err)
			}
		}
	}
}

func (u *usage) measure(ctx context.Context, now time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, usageEvery)
	defer cancel()
	containers, err := u.runtime.List(ctx)
	if err != nil {
		return err
	}
	used, after := map[consumer]amount{}, map[runtime.ContainerID]reading{}
	var problems []error
	for _, c := range containers {
		if c.State != runtime.StateRunning {
			continue
		}
		stats, err := u.runtime.Stats(ctx, c.ID)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		after[c.ID] = reading{at: now, cpu: stats.CPU}
		who := consumer{c.Labels[labelSpace], c.Labels[labelService], c.Labels[labelEnvironment]}
		sum := used[who]
		sum.cores += after[c.ID].coresSince(u.before[c.ID])
		sum.memory += stats.MemoryWorkingSet
		used[who] = sum
	}
	u.before = after
	u.publish(used)
	return errors.Join(problems...)
}

// coresSince is 0 for the first reading of a container.
func (r reading) coresSince(before reading) float64 {
	passed := r.at.Sub(before.at)
	if before.at.IsZero() || passed <= 0 || r.cpu < before.cpu {
		return 0
	}
	return float64(r.cpu-before.cpu) / float64(passed)
}

// publish replaces all workloads: one that left the node leaves the metrics, too.
func (u *usage) publish(used map[consumer]amount) {
	u.metrics.cores.Reset()
	u.metrics.memory.Reset()
	for who, sum := range used {
		u.metrics.cores.WithLabelValues(who.space, who.service, who.environment).Set(sum.cores)
		u.metrics.memory.WithLabelValues(who.space, who.service, who.environment).Set(float64(sum.memory))
	}
}
