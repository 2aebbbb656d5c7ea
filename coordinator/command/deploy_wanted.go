package command

import (
	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// maxReplicas bounds a wanted count, against a slip of the finger.
const maxReplicas = 100_000

// putFirstWanted writes the wanted counts that a deploy brings where there are none.
// Those that there are belong to whoever chose them: a deployment that fails must not
// have changed them.
func putFirstWanted(tx *state.Tx, c *runwayv1.Deploy) error {
	for _, given := range c.GetWanted() {
		if err := checkRegion(tx, given.GetRegion()); err != nil {
			return err
		}
		if given.GetCount() > maxReplicas {
			return reject(ErrInvalid, code.ScaleOutOfBounds, "%d replicas are above %d", given.GetCount(), maxReplicas)
		}
		if tx.Wanted(state.IDOf(c.GetWorkload()), given.GetRegion()) != nil {
			continue
		}
		tx.PutWanted(&runwayv1.Wanted{
			Workload: c.GetWorkload(),
			Region:   given.GetRegion(),
			Count:    given.GetCount(),
			Reason:   bounded(given.GetReason()),
			Writer:   bounded(given.GetWriter()),
		})
	}
	return nil
}

// sizeOf returns how many replicas of a revision are wanted in all regions.
func sizeOf(tx *state.Tx, id state.WorkloadID, revision uint64) uint32 {
	total := 0
	for _, wanted := range tx.WantedOf(id) {
		total += state.Size(wanted, tx.Revision(id, revision).GetSpec())
	}
	return uint32(total)
}
