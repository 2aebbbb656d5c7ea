package main

import (
	"fmt"
	"slices"
	"time"
)

// reportDeploy adds the figures of all rounds: the whole, and stage by stage.
func reportDeploy(r *report, all []milestones, floors []floorTimes) {
	whole := summarise(all, func(m milestones) time.Duration { return m.answered })
	base := summarise(floors, func(f floorTimes) time.Duration { return f.accepted })
	r.add(row{
		what: "deploy a local image, to the first HTTPS 200", unit: seconds, goal: goalDeploy,
		measured: whole.median.Seconds(), floor: base.median.Seconds(),
		detail: append([]string{
			fmt.Sprintf("%d rounds, each a new service: median %v, %v to %v", len(all), whole.median, whole.least, whole.most),
			fmt.Sprintf("floor, a container of the same image by containerd's client and CNI: median %v, %v to %v", base.median, base.least, base.most),
		}, stages(all, floors)...),
	})
	confirmed := summarise(all, func(m milestones) time.Duration { return m.confirmed })
	r.add(row{what: "the same, to the deployment's success", unit: seconds, measured: confirmed.median.Seconds(), floor: base.median.Seconds()})
}

// stages says how long each stage took, and from when to when in the median round.
func stages(all []milestones, floors []floorTimes) []string {
	begin := func(milestones) time.Duration { return 0 }
	accepted := func(m milestones) time.Duration { return m.accepted }
	placed := func(m milestones) time.Duration { return m.placed }
	started := func(m milestones) time.Duration { return m.started }
	ready := func(m milestones) time.Duration { return m.ready }
	answered := func(m milestones) time.Duration { return m.answered }
	confirmed := func(m milestones) time.Duration { return m.confirmed }
	var lines []string
	for _, stage := range []struct {
		name     string
		from, to func(milestones) time.Duration
	}{
		{"deploy accepted", begin, accepted},
		{"placed", accepted, placed},
		{"assigned, attached, created, started", placed, started},
		{"ready: probed and published", started, ready},
		{"routed: first 200", ready, answered},
		{"acknowledged by every ingress, deployment ended", ready, confirmed},
	} {
		took := summarise(all, func(m milestones) time.Duration { return stage.to(m) - stage.from(m) })
		at := summarise(all, stage.to)
		lines = append(lines, fmt.Sprintf("%-50s %8v   (%v to %v), at %v", stage.name, took.median, took.least, took.most, at.median))
	}
	for _, step := range []string{"pull", "attach", "create", "start"} {
		took := summarise(all, func(m milestones) time.Duration { return m.steps[step] })
		lines = append(lines, fmt.Sprintf("%-50s %8v   (%v to %v)", "  of it in the agent's step "+step, took.median, took.least, took.most))
	}
	for _, part := range []struct {
		name     string
		from, to func(floorTimes) time.Duration
	}{
		{"attach", func(floorTimes) time.Duration { return 0 }, func(f floorTimes) time.Duration { return f.attached }},
		{"create", func(f floorTimes) time.Duration { return f.attached }, func(f floorTimes) time.Duration { return f.created }},
		{"start", func(f floorTimes) time.Duration { return f.created }, func(f floorTimes) time.Duration { return f.started }},
		{"first accept", func(f floorTimes) time.Duration { return f.started }, func(f floorTimes) time.Duration { return f.accepted }},
	} {
		took := summarise(floors, func(f floorTimes) time.Duration { return part.to(f) - part.from(f) })
		lines = append(lines, fmt.Sprintf("%-50s %8v   (%v to %v)", "  of the floor in "+part.name, took.median, took.least, took.most))
	}
	return lines
}

// summary of one length of time over all rounds.
type summary struct{ least, median, most time.Duration }

// summarise rounds to what a clock of another process can tell.
func summarise[T any](all []T, of func(T) time.Duration) summary {
	times := make([]time.Duration, len(all))
	for i, one := range all {
		times[i] = of(one).Round(100 * time.Microsecond)
	}
	slices.Sort(times)
	if len(times) == 0 {
		return summary{}
	}
	return summary{times[0], times[len(times)/2], times[len(times)-1]}
}
