package main

import (
	"math"
	"sync"
	"time"
)

const (
	// failuresKept is how many failures are described; all are counted.
	failuresKept = 20
	// Latencies are counted in buckets that are 5 % wide, from 50 µs to minutes.
	bucketFirst = 50 * time.Microsecond
	bucketWidth = 1.05
	bucketCount = 300
)

// counts is what one group has seen. It is safe for concurrent use.
type counts struct {
	edge, kind string
	unpaced    bool // requests come as others end, not by the rate

	mu          sync.Mutex
	connections int64
	requests    int64
	failures    map[string]int64
	revisions   map[string]int64
	described   []*failure
	// When the first and the last failed request began.
	firstFailed, lastFailed time.Time
	// Latency of the requests that were not made slow on purpose.
	buckets [bucketCount]int64
	most    time.Duration
}

func newCounts(edge, kind string) *counts {
	return &counts{edge: edge, kind: kind, failures: map[string]int64{}, revisions: map[string]int64{}}
}

func (c *counts) dialed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.connections++
}

func (c *counts) add(revision string, took time.Duration, slow bool, f *failure) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests++
	if f != nil {
		c.fail(f)
		return
	}
	c.revisions[revision]++
	if !slow {
		c.buckets[bucketOf(took)]++
		c.most = max(c.most, took)
	}
}

// opened counts a stream when it has begun, or was tried to.
func (c *counts) opened(revision string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests++
	if revision != "" {
		c.revisions[revision]++
	}
}

// lose counts that a stream ended as it should not.
func (c *counts) lose(f *failure) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail(f)
}

// fail counts a failure; mu is held.
func (c *counts) fail(f *failure) {
	if c.firstFailed.IsZero() || f.At.Before(c.firstFailed) {
		c.firstFailed = f.At
	}
	if f.At.After(c.lastFailed) {
		c.lastFailed = f.At
	}
	c.failures[f.Kind]++
	if len(c.described) < failuresKept {
		c.described = append(c.described, f)
	}
}

func bucketOf(took time.Duration) int {
	if took <= bucketFirst {
		return 0
	}
	return min(bucketCount-1, int(math.Ceil(math.Log(float64(took)/float64(bucketFirst))/math.Log(bucketWidth))))
}

// row is the counts of one group, or of one kind, as they are reported.
type row struct {
	Edge        string           `json:"edge"`
	Kind        string           `json:"kind"`
	Unpaced     bool             `json:"unpaced"`
	Requests    int64            `json:"requests"`
	Connections int64            `json:"connections"`
	Failures    map[string]int64 `json:"failures"`
	P50         time.Duration    `json:"p50_ns"`
	P99         time.Duration    `json:"p99_ns"`
	Max         time.Duration    `json:"max_ns"`
}

// summary is one report.
type summary struct {
	Final     bool             `json:"final"`
	Elapsed   time.Duration    `json:"elapsed_ns"`
	Requests  int64            `json:"requests"`
	Failed    int64            `json:"failed"`
	Rows      []row            `json:"rows"`
	Revisions map[string]int64 `json:"revisions"`
	Described []*failure       `json:"described"`
	// Troubled is the time between the beginnings of the first and the last failed
	// request.
	Troubled time.Duration `json:"troubled_ns"`

	first, last time.Time
}

func report(groups []*group, elapsed time.Duration, final bool) summary {
	s := summary{Final: final, Elapsed: elapsed, Revisions: map[string]int64{}}
	for _, g := range groups {
		r := g.counts.into(&s)
		s.Requests += r.Requests
		for _, n := range r.Failures {
			s.Failed += n
		}
		s.Rows = append(s.Rows, r)
	}
	s.Troubled = s.last.Sub(s.first)
	return s
}

// into adds to the summary what is not by kind, and returns what is.
func (c *counts) into(s *summary) row {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := row{
		Edge: c.edge, Kind: c.kind, Unpaced: c.unpaced, Requests: c.requests, Connections: c.connections, Failures: map[string]int64{},
		P50: c.quantile(0.50), P99: c.quantile(0.99), Max: c.most,
	}
	for kind, n := range c.failures {
		r.Failures[kind] = n
	}
	for revision, n := range c.revisions {
		s.Revisions[revision] += n
	}
	s.Described = append(s.Described, c.described...)
	if !c.firstFailed.IsZero() && (s.first.IsZero() || c.firstFailed.Before(s.first)) {
		s.first = c.firstFailed
	}
	if c.lastFailed.After(s.last) {
		s.last = c.lastFailed
	}
	return r
}

// quantile returns the upper end of the bucket that holds it; mu is held.
func (c *counts) quantile(q float64) time.Duration {
	var all, below int64
	for _, n := range c.buckets {
		all += n
	}
	for i, n := range c.buckets {
		below += n
		if below > 0 && float64(below) >= q*float64(all) {
			return min(c.most, time.Duration(float64(bucketFirst)*math.Pow(bucketWidth, float64(i))))
		}
	}
	return 0
}
