package command

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// setWanted writes how many replicas a workload shall have in a region, within
// the bounds of its policy.
func setWanted(tx *state.Tx, c *runwayv1.SetWanted) (proto.Message, error) {
	id := state.IDOf(c.GetWorkload())
	workload, err := liveWorkload(tx, id)
	if err != nil {
		return nil, err
	}
	if err := checkRegion(tx, c.GetRegion()); err != nil {
		return nil, err
	}
	spec := tx.Revision(id, presentRevision(tx, workload)).GetSpec()
	if err := checkScale(spec.GetScale(), c.GetCount()); err != nil {
		return nil, err
	}
	before := state.Size(tx.Wanted(id, c.GetRegion()), spec)
	wanted := &runwayv1.Wanted{
		Workload: c.GetWorkload(),
		Region:   c.GetRegion(),
		Count:    c.GetCount(),
		Reason:   bounded(c.GetReason()),
		Writer:   bounded(c.GetWriter()),
	}
	tx.PutWanted(wanted)
	if before != int(c.GetCount()) {
		message := fmt.Sprintf("%d -> %d in %s by %s: %s", before, c.GetCount(), c.GetRegion(), c.GetWriter(), c.GetReason())
		tx.PutEvent(ofWorkload(c.GetWorkload(), "workload.scaled", message))
	}
	return wanted, nil
}

// liveWorkload returns a workload that exists and is not being deleted.
func liveWorkload(tx *state.Tx, id state.WorkloadID) (*runwayv1.Workload, error) {
	workload := tx.Workload(id)
	if workload == nil {
		return nil, reject(ErrNotFound, code.ServiceNotFound, "there is no service %q", id)
	}
	if workload.GetDelete() {
		return nil, reject(ErrConflict, code.ServiceDeleting, "service %q is being deleted", id)
	}
	return workload, nil
}

// presentRevision is the one that the workload is moving to, or else the one that
// serves, or else the newest.
func presentRevision(tx *state.Tx, workload *runwayv1.Workload) uint64 {
	number := tx.Deployment(workload.GetActiveDeployment()).GetSpec().GetRevision()
	if number == 0 {
		number = workload.GetServingRevision()
	}
	if number == 0 {
		number = workload.GetLatestRevision()
	}
	return number
}

// checkScale refuses counts outside the policy; a max of 0 is no bound.
func checkScale(policy *runwayv1.ScalePolicy, count uint32) error {
	most := policy.GetMax()
	if most == 0 {
		most = maxReplicas
	}
	if count < policy.GetMin() || count > most {
		return reject(ErrInvalid, code.ScaleOutOfBounds, "%d replicas are not between %d and %d", count, policy.GetMin(), most)
	}
	return nil
}
