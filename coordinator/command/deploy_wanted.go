package command

import (
	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// writerManifest marks wanted counts that nobody chose but the manifest.
const writerManifest = "manifest"

// maxReplicas bounds a wanted count, against a slip of the finger.
const maxReplicas = 100_000

// putDeployWanted writes the wanted counts that a deploy brings. A count that
// somebody chose by hand, or the autoscaler, stays as it is within the bounds of
// spec, that of the revision to move to.
func putDeployWanted(tx *state.Tx, c *runwayv1.Deploy, spec *runwayv1.RevisionSpec) error {
	id := state.IDOf(c.GetWorkload())
	for _, given := range c.GetWanted() {
		if err := checkRegion(tx, given.GetRegion()); err != nil {
			return err
		}
		if given.GetCount() > maxReplicas {
			return reject(ErrInvalid, code.ScaleOutOfBounds, "%d replicas are above %d", given.GetCount(), maxReplicas)
		}
		old := tx.Wanted(id, given.GetRegion())
		next := &runwayv1.Wanted{
			Workload: c.GetWorkload(),
			Region:   given.GetRegion(),
			Count:    given.GetCount(),
			Reason:   bounded(given.GetReason()),
			Writer:   bounded(given.GetWriter()),
		}
		if old != nil && old.GetWriter() != writerManifest {
			next = withinBounds(old, spec)
		}
		if old == nil || old.GetCount() != next.GetCount() || old.GetWriter() != next.GetWriter() {
			tx.PutWanted(next)
		}
	}
	return nil
}

// withinBounds returns a copy of a chosen count, moved into the bounds of spec.
func withinBounds(old *runwayv1.Wanted, spec *runwayv1.RevisionSpec) *runwayv1.Wanted {
	next := proto.CloneOf(old)
	if spec == nil {
		return next
	}
	next.Count = max(next.GetCount(), spec.GetScale().GetMin())
	if most := spec.GetScale().GetMax(); most > 0 {
		next.Count = min(next.GetCount(), most)
	}
	return next
}

func wantedTotal(tx *state.Tx, id state.WorkloadID) uint32 {
	var total uint32
	for _, wanted := range tx.WantedOf(id) {
		total += wanted.GetCount()
	}
	return total
}
