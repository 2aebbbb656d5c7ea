package simulation

import (
	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/failpoint"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// tamper changes a set on its way to an ingress, as a broken promise would.
func (i *ingress) tamper(set *runwayv1.RouteSet) *runwayv1.RouteSet {
	broken := i.world.config.Break
	switch {
	case broken == failpoint.TwoContents && i.id == "i1":
		set = proto.CloneOf(set)
		set.Domain = "planted.test"
	case broken == failpoint.OldRoutes && i.set != nil && i.rand.IntN(4) == 0:
		set = proto.CloneOf(set)
		set.Generation = i.set.GetGeneration() - 1
	}
	return set
}
