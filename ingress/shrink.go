package ingress

import (
	"errors"
	"fmt"
	"time"

	"github.com/runway-platform/runway/failpoint"
	"github.com/runway-platform/runway/ingress/route"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// refusal is a set that was not taken because too many routes would have gone with it
// and it did not say why. The
// session goes on, as everything else about its coordinator is sound: it may look
// again and send the full set with force.
type refusal struct {
	generation uint64
	shrink     *route.ShrinkError
}

// errOnRefused is why a difference is not taken: its base was refused.
var errOnRefused = errors.New("difference from a set that was refused")

// apply puts a set into use, or refuses it and says so in the next confirmation. It
// returns an error when the coordinator must not have sent the set.
func (f *following) apply(set *runwayv1.RouteSet) error {
	if set.GetIncarnation() != f.incarnation {
		return fmt.Errorf("set of incarnation %q in a session of %q: %w", set.GetIncarnation(), f.incarnation, route.ErrForeign)
	}
	if failpoint.Planted == failpoint.SkipAcknowledgement {
		if err := f.confirmFirst(set); err != nil {
			return err
		}
	}
	err := errOnRefused
	if f.refusal == nil || set.GetFull() {
		if err := f.follows(set); err != nil {
			return err
		}
		err = f.ingress.book.apply(set)
	}
	switch {
	case err == nil:
		f.taken(time.Now())
		return nil
	case errors.Is(err, errOnRefused):
		f.refuse(set, f.refusal.shrink)
		return nil
	}
	var shrink *route.ShrinkError
	if !errors.As(err, &shrink) {
		return err
	}
	f.log.Error("routes refused and the old ones kept: too many would go at once without a reason", "generation", set.GetGeneration(), "err", err)
	f.refuse(set, shrink)
	return nil
}

// follows refuses a difference from another set than the one in use: one was lost, or
// overtaken, and only the full set of a new session mends that.
func (f *following) follows(set *runwayv1.RouteSet) error {
	if now := f.ingress.live.Table().Generation(); !set.GetFull() && set.GetBase() != now {
		return fmt.Errorf("difference of generation %d builds on %d, and %d is in use: %w", set.GetGeneration(), set.GetBase(), now, route.ErrStale)
	}
	return nil
}

// taken notes that a set is in use, which is to be confirmed.
func (f *following) taken(now time.Time) {
	f.synced, f.refusal = true, nil
	f.withheld.Store(false)
	f.fresh.begin()
	if f.unconfirmed.IsZero() {
		f.unconfirmed = now
	}
}

func (f *following) refuse(set *runwayv1.RouteSet, shrink *route.ShrinkError) {
	f.refusal = &refusal{generation: set.GetGeneration(), shrink: shrink}
	f.refused.Add(1)
	f.withheld.Store(true)
	f.fresh.end(time.Now())
}

// addTo says in a confirmation what was refused, if anything was.
func (r *refusal) addTo(ack *runwayv1.RouteAck) {
	if r == nil {
		return
	}
	ack.Refused, ack.GoingTotal = r.generation, uint32(len(r.shrink.Going)) //nolint:gosec // bounded by the table
	for _, key := range r.shrink.Going[:min(len(r.shrink.Going), maxProblems)] {
		ack.Going = append(ack.Going, fromKey(key))
	}
}
