package agent

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

type rulesThatDrop struct {
	counts map[string]uint64
	err    error
}

func (r *rulesThatDrop) Denied(context.Context) (map[string]uint64, error) { return r.counts, r.err }

func TestDenied_IsReadAtEachScrape(t *testing.T) {
	t.Parallel()
	registry, rules := prometheus.NewRegistry(), &rulesThatDrop{counts: map[string]uint64{"spoof": 3, "egress": 0}}
	if err := RegisterDenied(registry, rules); err != nil {
		t.Fatal(err)
	}
	want := `
# HELP runway_agent_denied_packets_total Packets that the rules of the node's network dropped since they were loaded, by reason.
# TYPE runway_agent_denied_packets_total counter
runway_agent_denied_packets_total{reason="egress"} 0
runway_agent_denied_packets_total{reason="spoof"} 3
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
	rules.err = errors.New("no table")
	if count, err := testutil.GatherAndCount(registry); err != nil || count != 0 {
		t.Errorf("unreadable rules: %d series, %v, want the scrape to go on without them", count, err)
	}
}
