package presence

import (
	"math"
	"slices"
	"time"

	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

const (
	// statusClasses is 1xx to 5xx.
	statusClasses = 5
	// maxBuckets bounds the latency histogram of one sample.
	maxBuckets = 64
	// maxSample bounds a count of one second. A larger one is a defect, and would
	// mislead whoever scales by it.
	maxSample = 1 << 40
)

// Series names what is counted together.
type Series struct {
	Workload state.WorkloadID
	Revision uint64
}

// Record counts what an ingress served since its last message in the tallies that are
// open and in the recent traffic, and returns how many samples were refused because they
// cannot be true, or have no room in a tally.
func (p *Presence) Record(ingress string, stats *runwayv1.IngressStats) (refused int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	for _, sample := range stats.GetWorkloads() {
		series := Series{state.IDOf(sample.GetWorkload()), sample.GetRevision()}
		if !plausible(sample) {
			refused++
			continue
		}
		if slices.ContainsFunc(sample.GetResponses(), func(n uint64) bool { return n > 0 }) {
			p.tallies.mixed(ingress, series.Workload, stats.GetCovers().AsDuration(), now)
		}
		p.lately(series.Workload, sample, stats.GetCovers().AsDuration(), now)
		if !p.tallies.add(ingress, series, sample) {
			refused++
		}
	}
	p.tallies.answered(ingress, stats.GetRequest())
	return refused
}

func plausible(sample *runwayv1.WorkloadStats) bool {
	sum := sample.GetLatencySum()
	if math.IsNaN(sum) || sum < 0 || sum > maxSample || sample.GetInFlight() > maxSample {
		return false
	}
	if len(sample.GetResponses()) > statusClasses || len(sample.GetLatency()) > maxBuckets {
		return false
	}
	for _, counts := range [][]uint64{sample.GetResponses(), sample.GetLatency()} {
		for _, n := range counts {
			if n > maxSample {
				return false
			}
		}
	}
	return true
}
