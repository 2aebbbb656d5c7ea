package ingress

import (
	"errors"
	"fmt"

	"github.com/runway-platform/runway/ingress/route"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// refusal is a set that was not taken because too many routes would have gone. The
// session goes on, as everything else about its coordinator is sound: it may look
// again and send the full set with force.
type refusal struct {
	generation uint64
	reason     error
}

// errOnRefused is why a difference is not taken: its base was refused.
var errOnRefused = errors.New("difference from a set that was refused")

// apply puts a set into use, or refuses it and says so in the next confirmation. It
// returns an error when the coordinator must not have sent the set.
func (f *following) apply(set *runwayv1.RouteSet) error {
	if set.GetIncarnation() != f.incarnation {
		return fmt.Errorf("set of incarnation %q in a session of %q: %w", set.GetIncarnation(), f.incarnation, route.ErrForeign)
	}
	err := errOnRefused
	if f.refusal == nil || set.GetFull() {
		err = f.ingress.book.apply(set)
	}
	switch {
	case err == nil:
		f.synced, f.refusal = true, nil
		f.withheld.Store(false)
	case errors.Is(err, route.ErrShrinks):
		f.refuse(set, err)
		f.log.Error("routes refused and the old ones kept: too many would go at once", "generation", set.GetGeneration(), "err", err)
	case errors.Is(err, errOnRefused):
		f.refuse(set, f.refusal.reason)
	default:
		return err
	}
	return nil
}

func (f *following) refuse(set *runwayv1.RouteSet, reason error) {
	f.refusal = &refusal{generation: set.GetGeneration(), reason: reason}
	f.refused.Add(1)
	f.withheld.Store(true)
}

// addTo says in a confirmation what was refused, if anything was.
func (r *refusal) addTo(ack *runwayv1.RouteAck) {
	if r == nil {
		return
	}
	ack.Refused = r.generation
	ack.Problems = append(ack.Problems, newProblem(route.Key{}, "", code.RouteRefused, r.reason.Error()))
}
