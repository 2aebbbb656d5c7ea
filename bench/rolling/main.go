// Command rolling is the load of `make bench-rolling`: clients that never retry.
// Each opens its connections itself, counts every one of them and every request,
// and takes anything but the right answer for a failure. It asks until SIGTERM,
// writes its counts to stdout as one line of JSON twice a second, and once more,
// marked final, at its end. It decides nothing about the platform: that is e2e's.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// reportEvery is how old the counts are at most that the harness sees.
const reportEvery = 500 * time.Millisecond

// options are what the command line says.
type options struct {
	// edges are the ingresses, as NAME=ADDRESS without a port.
	edges string
	// ports and names of the two kinds of listeners.
	tlsPort, plainPort int
	tlsName, plainName string
	ca                 string
	// name is what the service calls itself; "/REVISION" follows it.
	name    string
	workers int
	rate    float64
	timeout time.Duration
	// streams of each kind at each ingress, each for its life or until it is closed.
	streams    int
	streamLife time.Duration
	// slow are the clients of each slow kind at each ingress.
	slow int
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	o, err := parse(os.Args[1:])
	if err == nil {
		err = run(ctx, o, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "rolling:", err)
		os.Exit(1)
	}
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("rolling", flag.ContinueOnError)
	flags.StringVar(&o.edges, "edges", "", "ingresses to load, as NAME=ADDRESS,...")
	flags.IntVar(&o.tlsPort, "tls-port", 443, "port of HTTPS")
	flags.IntVar(&o.plainPort, "plain-port", 10080, "port of the internal listener")
	flags.StringVar(&o.tlsName, "tls-name", "", "public name of the service")
	flags.StringVar(&o.plainName, "plain-name", "", "internal name of the service")
	flags.StringVar(&o.ca, "ca", "", "certificate of the CA")
	flags.StringVar(&o.name, "name", "", "what every answer begins with")
	flags.IntVar(&o.workers, "workers", 8, "clients of each kind at each ingress")
	flags.Float64Var(&o.rate, "rate", 1000, "most requests per second, of all clients together")
	flags.DurationVar(&o.timeout, "timeout", 10*time.Second, "longest wait for an answer")
	flags.IntVar(&o.streams, "streams", 0, "streams of each kind at each ingress")
	flags.DurationVar(&o.streamLife, "stream-life", time.Second, "how long a client keeps a stream")
	flags.IntVar(&o.slow, "slow", 0, "clients of each slow kind at each ingress")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.edges == "" || o.tlsName == "" || o.plainName == "" || o.ca == "" || o.name == "" || o.workers < 1 || o.rate <= 0 || o.streams < 0 || o.slow < 0 {
		return o, fmt.Errorf("-edges, -tls-name, -plain-name, -ca and -name are needed, -workers and -rate must be positive, -streams and -slow not negative")
	}
	return o, nil
}

// groups returns the clients' groups: each kind at each ingress.
func (o options) groups() ([]*group, error) {
	roots, err := readCA(o.ca)
	if err != nil {
		return nil, err
	}
	var unpaced []kind
	if o.streams > 0 {
		unpaced = append(unpaced, streamKinds...)
	}
	if o.slow > 0 {
		unpaced = append(unpaced, slowKinds...)
	}
	var groups []*group
	for edge := range strings.SplitSeq(o.edges, ",") {
		name, address, ok := strings.Cut(edge, "=")
		if !ok {
			return nil, fmt.Errorf("ingress %q is not NAME=ADDRESS", edge)
		}
		for _, k := range kinds {
			groups = append(groups, newGroup(o, name, k, k.target(o, address, roots)))
		}
		for _, k := range unpaced {
			groups = append(groups, newUnpacedGroup(o, name, k, k.target(o, address, roots)))
		}
	}
	return groups, nil
}
