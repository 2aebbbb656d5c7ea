package api

import (
	"fmt"
	"strings"
	"time"

	"github.com/runway-platform/runway/coordinator/presence"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

const (
	// slowAnswer is what a person notices, and one of the bounds that latency is counted by.
	slowAnswer = time.Second
	// slowShare of the requests makes a service slow; a few of them may be meant to take long.
	slowShare = 0.1
)

// trafficCauses explains what those who ask a service see of it, the worst first.
func trafficCauses(t presence.Traffic) []*runwayv1.Cause {
	evidence := []string{"latency: " + latencyLine(t)}
	var causes []*runwayv1.Cause
	add := func(bad uint64, c code.Code, what string) {
		summary := fmt.Sprintf("%d of %d requests of the last %s %s", bad, t.Requests, t.Covers.Round(time.Second), what)
		causes = append(causes, &runwayv1.Cause{Code: string(c), Summary: summary, Evidence: evidence, Fix: c.Fix()})
	}
	if t.Unserved > 0 {
		add(t.Unserved, code.RequestsUnserved, "were taken by no replica, and answered with 502 or 503")
	}
	if t.Failed > 0 {
		add(t.Failed, code.RequestsFail, "were answered by replicas with a status of 500 or more")
	}
	if slow := t.Slower(slowAnswer); slow > 0 && float64(slow) >= slowShare*float64(t.Requests) {
		add(slow, code.RequestsSlow, "took longer than "+slowAnswer.String())
	}
	return causes
}

// latencyLine says what parts of the requests did not take longer than.
func latencyLine(t presence.Traffic) string {
	bounds := runwayv1.LatencyBounds()
	var parts []string
	for _, q := range []struct {
		name  string
		share float64
	}{{"half", 0.5}, {"90 %", 0.9}, {"99 %", 0.99}} {
		within := "above " + bounds[len(bounds)-1].String()
		if bound, ok := t.Quantile(q.share); ok {
			within = "within " + bound.String()
		}
		parts = append(parts, q.name+" "+within)
	}
	return strings.Join(parts, ", ")
}
