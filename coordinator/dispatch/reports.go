package dispatch

import (
	"context"
	"log/slog"

	"google.golang.org/protobuf/proto"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

const (
	// maxWaiting bounds the messages that wait for the log. An agent beyond it is cut
	// and reports everything when it is back.
	maxWaiting = 4096
	// maxBatchBytes keeps a batch well below the largest command.
	maxBatchBytes = 512 << 10
	// maxEvents bounds the events of one command.
	maxEvents = 100
	// maxMessageEvents bounds the events of one message, far above what an agent
	// gathers. Whatever is above it is told of.
	maxMessageEvents = 1000
)

// report is one message of an agent or ingress on its way into the log.
type report struct {
	replicas []*runwayv1.NodeReport
	events   []*runwayv1.Event
	// confirmed is called once it is written, failed when it was not.
	confirmed func()
	failed    func(error)
}

func (r report) size() int {
	total := 0
	for _, replica := range r.replicas {
		total += proto.Size(replica)
	}
	for _, event := range r.events {
		total += proto.Size(event)
	}
	return total
}

// reports writes what the agents saw. One command is under way at a time and the
// next one takes all that has come meanwhile: an idle cluster waits for nothing,
// and a busy one writes few large commands.
type reports struct {
	applier applier
	log     *slog.Logger
	metrics *Metrics
	waiting chan report
}

func newReports(a applier, log *slog.Logger, metrics *Metrics) *reports {
	return &reports{applier: a, log: log, metrics: metrics, waiting: make(chan report, maxWaiting)}
}

// put queues a report. It never blocks: beats come over the same stream.
func (r *reports) put(next report) error {
	select {
	case r.waiting <- next:
		return nil
	default:
		return errOverload
	}
}

// run writes until ctx ends. Reports that wait then are dropped; their sessions end
// with the same context, and the agents report everything to the next leader.
func (r *reports) run(ctx context.Context) error {
	for {
		select {
		case next := <-r.waiting:
			r.write(ctx, r.collect(next))
		case <-ctx.Done():
			r.drop()
			return nil
		}
	}
}

// collect takes what else is waiting, up to a batch.
func (r *reports) collect(next report) []report {
	batch, size := []report{next}, next.size()
	for size < maxBatchBytes {
		select {
		case next := <-r.waiting:
			batch = append(batch, next)
			size += next.size()
		default:
			return batch
		}
	}
	return batch
}

func (r *reports) write(ctx context.Context, batch []report) {
	command := &runwayv1.ReportReplicas{}
	events := &runwayv1.RecordEvents{}
	for _, next := range batch {
		command.Reports = append(command.Reports, next.replicas...)
		events.Events = append(events.Events, next.events...)
	}
	err := r.writeReplicas(ctx, command)
	if err == nil {
		err = r.writeEvents(ctx, events)
	}
	r.metrics.batch.Observe(float64(len(command.GetReports())))
	for _, next := range batch {
		if err != nil {
			next.failed(err)
			continue
		}
		next.confirmed()
	}
}

// writeReplicas writes reports in commands that are small enough.
func (r *reports) writeReplicas(ctx context.Context, command *runwayv1.ReportReplicas) error {
	for _, part := range parts(command.GetReports()) {
		result, err := r.applier.Apply(ctx, &runwayv1.ReportReplicas{Reports: part})
		if err != nil {
			return err
		}
		refusals, _ := result.Value.(*runwayv1.Refusals)
		for _, refusal := range refusals.GetRefused() {
			r.metrics.refused.Inc()
			r.log.Warn("report refused", "replica_id", refusal.GetReplica(), "code", refusal.GetCode(), "reason", refusal.GetReason())
		}
	}
	return nil
}

func (r *reports) writeEvents(ctx context.Context, events *runwayv1.RecordEvents) error {
	for all := events.GetEvents(); len(all) > 0; {
		n := min(len(all), maxEvents)
		if _, err := r.applier.Apply(ctx, &runwayv1.RecordEvents{Events: all[:n]}); err != nil {
			return err
		}
		all = all[n:]
	}
	return nil
}

// drop empties the queue, so that the next leadership begins with nothing old.
func (r *reports) drop() {
	for {
		select {
		case next := <-r.waiting:
			next.failed(errUnwritten)
		default:
			return
		}
	}
}

// parts cuts reports into lists of at most a batch each.
func parts(all []*runwayv1.NodeReport) [][]*runwayv1.NodeReport {
	var result [][]*runwayv1.NodeReport
	first, size := 0, 0
	for i, next := range all {
		n := proto.Size(next)
		if size+n > maxBatchBytes && i > first {
			result = append(result, all[first:i])
			first, size = i, 0
		}
		size += n
	}
	if first < len(all) {
		result = append(result, all[first:])
	}
	return result
}
