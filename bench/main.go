// Command bench measures the platform on this machine, each figure beside its
// floor: what the same parts need without a platform, in the same run. It starts a
// cluster of its own with `runway dev` and removes every trace of it. It must run
// as root, from the root of the repository.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// runLimit bounds a whole run, removal included: many times what it takes.
const runLimit = 15 * time.Minute

type options struct {
	runway, dir, output string
	rounds, replicas    int
	check               bool
}

func main() {
	var o options
	flag.StringVar(&o.runway, "runway", "bin/runway", "binary to measure")
	flag.StringVar(&o.dir, "dir", "", "directory of the cluster (default: a temporary one)")
	flag.StringVar(&o.output, "o", "", "write the figures to this file, too, as JSON")
	flag.IntVar(&o.rounds, "rounds", 15, "deployments to measure")
	flag.IntVar(&o.replicas, "replicas", 40, "replicas of the burst")
	flag.BoolVar(&o.check, "check", false, "fail when a goal is missed by more than its tolerance")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, runLimit)
	defer cancel()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run measures everything, prints it, and judges it when asked to.
func run(ctx context.Context, o options) error {
	var r report
	if err := measureAll(ctx, o, &r); err != nil {
		return err
	}
	r.print(os.Stdout)
	if o.output != "" {
		if err := r.write(o.output); err != nil {
			return err
		}
	}
	if o.check {
		return r.check()
	}
	return nil
}

// measureAll measures the scheduler before there is a cluster, and the cluster from
// idle to full.
func measureAll(ctx context.Context, o options, r *report) (err error) {
	say("packing 1,000,000 replicas")
	measureScheduler(r)
	say("starting a cluster")
	c, err := startCluster(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = c.closeAfter(err) }()
	for _, measure := range []struct {
		what string
		do   func(context.Context, *cluster, options, *report) error
	}{
		{"measuring memory at rest", measureIdle},
		{"starting many at once", measureBurst},
		{"deploying one after the other", measureDeploy},
	} {
		say(measure.what)
		if err := measure.do(ctx, c, o, r); err != nil {
			return fmt.Errorf("%s: %w", measure.what, err)
		}
	}
	return nil
}

// say shows progress beside the figures.
func say(what string) { fmt.Fprintln(os.Stderr, time.Now().Format("15:04:05"), what) }
