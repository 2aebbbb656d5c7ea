package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// One of so many requests carries a body and is not repeatable, and one of so many
// is slow: requests are in flight whenever a replica is to go.
const (
	sendEvery = 8
	holdEvery = 64
	hold      = "?hold=400ms"
)

// group is the clients of one kind at one ingress.
type group struct {
	name    string
	target  target
	workers int
	pace    time.Duration // between two requests of one worker
	stream  *reading      // nil for a group that asks
	life    time.Duration // of a stream
	slow    bool          // for a group whose every request is a slow one
	counts  *counts
}

func newGroup(o options, edge string, k kind, t target) *group {
	perGroup := o.rate / float64(len(kinds)*(1+strings.Count(o.edges, ",")))
	return &group{
		name: edge + " " + k.name, target: t, workers: o.workers,
		pace: time.Duration(float64(time.Second) * float64(o.workers) / perGroup), counts: newCounts(edge, k.name),
	}
}

// newUnpacedGroup is of clients that each hold a stream or wait for a slow answer, at no rate.
func newUnpacedGroup(o options, edge string, k kind, t target) *group {
	workers := o.streams
	if k.slow {
		workers = o.slow
	}
	g := &group{
		name: edge + " " + k.name, target: t, workers: workers, stream: k.stream, life: o.streamLife, slow: k.slow, counts: newCounts(edge, k.name),
	}
	g.counts.unpaced = true
	return g
}

// run asks with every group until ctx ends, and reports meanwhile.
func run(ctx context.Context, o options, out io.Writer) error {
	groups, err := o.groups()
	if err != nil {
		return err
	}
	var workers sync.WaitGroup
	began := time.Now()
	for _, g := range groups {
		for i := range g.workers {
			workers.Go(func() { g.run(ctx, i) })
		}
	}
	encoder, ticker := json.NewEncoder(out), time.NewTicker(reportEvery)
	defer ticker.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-ticker.C:
			if err := encoder.Encode(report(groups, time.Since(began), false)); err != nil {
				return err
			}
		}
	}
	elapsed := time.Since(began)
	workers.Wait()
	return encoder.Encode(report(groups, elapsed, true))
}

// run is one client.
func (g *group) run(ctx context.Context, number int) {
	switch {
	case g.stream != nil:
		g.keepStream(ctx)
	case g.slow:
		g.keepSlow(ctx, number)
	default:
		g.work(ctx, number)
	}
}

// work is one client that asks. It keeps its pace, and makes up for what a slow answer cost
// it: a stall must not hide how many requests it stalled.
func (g *group) work(ctx context.Context, number int) {
	c := &client{target: g.target, dialed: g.counts.dialed}
	defer c.close()
	payload := bytes.Repeat([]byte("what is sent comes back. "), 80)
	next := time.Now().Add(g.pace * time.Duration(number) / time.Duration(g.workers))
	timer := time.NewTimer(time.Until(next))
	defer timer.Stop()
	for n := number; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		g.ask(c, n, payload)
		next = next.Add(g.pace)
		timer.Reset(time.Until(next))
	}
}

// ask sends the nth request of a client.
func (g *group) ask(c *client, n int, payload []byte) {
	method, query, body := http.MethodGet, "", []byte(nil)
	slow := n%holdEvery == holdEvery-1
	switch {
	case slow:
		query = hold
	case n%sendEvery == 0:
		method, body = http.MethodPost, payload
	}
	g.send(c, method, query, body, slow)
}

// send sends a request and counts what came of it.
func (g *group) send(c *client, method, query string, body []byte, slow bool) (f *failure) {
	began := time.Now()
	revision, f := c.ask(method, query, body)
	took := time.Since(began)
	if f != nil {
		f.At, f.Took, f.Group, f.Method, f.Revision = began, took.String(), g.name, method+" /"+query, revision
	}
	g.counts.add(revision, took, slow, f)
	return f
}
