package main

import (
	"testing"
	"time"
)

func TestCounts_EveryRequestOnce(t *testing.T) {
	t.Parallel()
	g := &group{counts: newCounts("i1", "tls new")}
	for i := range 100 {
		g.counts.dialed()
		g.counts.add("2", time.Duration(i+1)*time.Millisecond, false, nil)
	}
	g.counts.add("3", time.Minute, true, nil) // slow on purpose: no latency
	at, other := time.Now(), newCounts("i2", "plain new")
	g.counts.add("", time.Second, false, &failure{Kind: "reset", At: at})
	other.add("", time.Second, false, &failure{Kind: "tls", At: at.Add(-3 * time.Second)})
	other.add("", time.Second, false, &failure{Kind: "tls", At: at.Add(-time.Second)})

	s := report([]*group{g, {counts: other}}, time.Second, true)
	if s.Requests != 104 || s.Failed != 3 || len(s.Described) != 3 || s.Troubled != 3*time.Second || s.Revisions["2"] != 100 || s.Revisions["3"] != 1 {
		t.Errorf("summary %+v", s)
	}
	r := s.Rows[0]
	if r.Connections != 100 || r.Failures["reset"] != 1 || r.Max != 100*time.Millisecond {
		t.Errorf("row %+v", r)
	}
	for _, q := range []struct {
		name      string
		got, want time.Duration
	}{{"p50", r.P50, 50 * time.Millisecond}, {"p99", r.P99, 99 * time.Millisecond}} {
		if q.got < q.want || q.got > q.want*110/100 {
			t.Errorf("%s %s, want %s to 10 %% more", q.name, q.got, q.want)
		}
	}
}

func TestParse_RefusesWhatCannotRun(t *testing.T) {
	t.Parallel()
	good := []string{"-edges", "i1=127.0.0.1", "-tls-name", "a", "-plain-name", "b", "-ca", "c", "-name", "n"}
	if _, err := parse(good); err != nil {
		t.Errorf("%v: %v", good, err)
	}
	for _, bad := range [][]string{{}, append(good[:len(good):len(good)], "-rate", "0"), append(good[:len(good):len(good)], "-workers", "0"), good[2:]} {
		if _, err := parse(bad); err == nil {
			t.Errorf("%v was taken", bad)
		}
	}
}
