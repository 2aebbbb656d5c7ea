package route

import (
	"fmt"
	"slices"
)

// ShrinkError means that with a set more than half of the routes would go without a
// reason: as a whole, or with all of their endpoints. That is what a coordinator sends
// that has lost a part of its state; one that is sound says why a route goes.
type ShrinkError struct {
	Generation uint64
	// Going are the workloads whose routes would go, sorted, Of how many.
	Going []Key
	Of    int
}

// Error says how many would go.
func (e *ShrinkError) Error() string {
	return fmt.Sprintf("generation %d is without %d of %d routes and does not say why", e.Generation, len(e.Going), e.Of)
}

// checkShrink counts what goes without a reason. However few routes there are, most of
// them do not go by accident: a set of one table with one route that has none is
// refused, too.
func checkShrink(old, next *Table, set Set) error {
	withdrawn := make(map[Key]bool, len(set.Withdrawn))
	for _, key := range set.Withdrawn {
		withdrawn[key] = true
	}
	var going []Key
	for key, r := range old.routes {
		stays, ok := next.routes[key]
		switch {
		case !ok && !withdrawn[key]:
			going = append(going, key)
		case ok && len(stays.targets) == 0 && len(r.targets) > 0 && !stays.Vacant:
			going = append(going, key)
		}
	}
	if 2*len(going) <= old.Len() {
		return nil
	}
	slices.SortFunc(going, CompareKeys)
	return &ShrinkError{Generation: set.Generation, Going: going, Of: old.Len()}
}
