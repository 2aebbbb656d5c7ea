package presence

import (
	"math"
	"slices"
	"time"

	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

const (
	// maxSeries bounds the workloads and revisions that are counted: two revisions
	// of every workload of a large cluster.
	maxSeries = 20_000
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

// Counts is what all ingresses served of one series since this leader began.
type Counts struct {
	// Responses by status class, 1xx first.
	Responses [statusClasses]uint64
	// Latency counts by bound, one more above all.
	Latency []uint64
	// LatencySum in seconds.
	LatencySum float64
	// InFlight is the number of requests now.
	InFlight uint64
}

// traffic keeps sums, and what is in flight by ingress: the latter is replaced by
// each message and vanishes with its ingress.
type traffic struct {
	sums     map[Series]*Counts
	inFlight map[string]map[Series]uint64
}

func newTraffic() traffic {
	return traffic{sums: map[Series]*Counts{}, inFlight: map[string]map[Series]uint64{}}
}

// Record adds what an ingress served since its last message and returns how many
// samples were refused because they cannot be true, or have no room.
func (p *Presence) Record(ingress string, stats *runwayv1.IngressStats) (refused int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	inFlight, now := map[Series]uint64{}, time.Now()
	for _, sample := range stats.GetWorkloads() {
		series := Series{state.IDOf(sample.GetWorkload()), sample.GetRevision()}
		if !plausible(sample) {
			refused++
			continue
		}
		if slices.ContainsFunc(sample.GetResponses(), func(n uint64) bool { return n > 0 }) {
			p.tallies.mixed(ingress, series.Workload, stats.GetCovers().AsDuration(), now)
		}
		counted := p.tallies.add(ingress, series, sample)
		if !p.traffic.add(series, sample) || !counted {
			refused++
			continue
		}
		inFlight[series] += sample.GetInFlight()
	}
	p.traffic.inFlight[ingress] = inFlight
	p.tallies.answered(ingress, stats.GetRequest())
	return refused
}

// Traffic returns what was served, by series. The caller owns the result.
func (p *Presence) Traffic() map[Series]Counts {
	p.mu.Lock()
	defer p.mu.Unlock()
	result := make(map[Series]Counts, len(p.traffic.sums))
	for series, sum := range p.traffic.sums {
		counts := *sum
		counts.Latency = append([]uint64(nil), sum.Latency...)
		for _, now := range p.traffic.inFlight {
			counts.InFlight += now[series]
		}
		result[series] = counts
	}
	return result
}

// ForgetTraffic drops the series that keep refuses.
func (p *Presence) ForgetTraffic(keep func(Series) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for series := range p.traffic.sums {
		if !keep(series) {
			delete(p.traffic.sums, series)
		}
	}
}

func (t *traffic) add(series Series, sample *runwayv1.WorkloadStats) bool {
	sum := t.sums[series]
	if sum == nil {
		if len(t.sums) >= maxSeries {
			return false
		}
		sum = &Counts{}
		t.sums[series] = sum
	}
	for class, n := range sample.GetResponses() {
		sum.Responses[class] += n
	}
	for len(sum.Latency) < len(sample.GetLatency()) {
		sum.Latency = append(sum.Latency, 0)
	}
	for bucket, n := range sample.GetLatency() {
		sum.Latency[bucket] += n
	}
	sum.LatencySum += sample.GetLatencySum()
	return true
}

func (t *traffic) forget(ingress string) { delete(t.inFlight, ingress) }

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
