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
	if err := checkScale(policyOf(tx, workload), c.GetCount()); err != nil {
		return nil, err
	}
	old := tx.Wanted(id, c.GetRegion())
	wanted := &runwayv1.Wanted{
		Workload: c.GetWorkload(),
		Region:   c.GetRegion(),
		Count:    c.GetCount(),
		Reason:   bounded(c.GetReason()),
		Writer:   bounded(c.GetWriter()),
	}
	tx.PutWanted(wanted)
	if old.GetCount() != c.GetCount() {
		message := fmt.Sprintf("%d -> %d in %s by %s: %s", old.GetCount(), c.GetCount(), c.GetRegion(), c.GetWriter(), c.GetReason())
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

// policyOf returns the bounds of the revision that the workload is moving to, or
// else of the one that serves, or else of the newest.
func policyOf(tx *state.Tx, workload *runwayv1.Workload) *runwayv1.ScalePolicy {
	number := tx.Deployment(workload.GetActiveDeployment()).GetSpec().GetRevision()
	if number == 0 {
		number = workload.GetServingRevision()
	}
	if number == 0 {
		number = workload.GetLatestRevision()
	}
	return tx.Revision(state.IDOf(workload.GetKey()), number).GetSpec().GetScale()
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
