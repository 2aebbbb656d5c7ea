package command

import (
	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// maxSpaces bounds the tenants of a cluster.
const maxSpaces = 10_000

// putSpace makes a space, or changes what is asked of it. Deletion is final. It takes
// the services with it when that is asked, and is refused while one is not being
// deleted otherwise.
func putSpace(tx *state.Tx, c *runwayv1.PutSpace) (proto.Message, error) {
	if err := checkLabel("space", c.GetName()); err != nil {
		return nil, err
	}
	old := tx.Space(c.GetName())
	if err := checkSpaceChange(tx, old, c); err != nil {
		return nil, err
	}
	space := &runwayv1.Space{Name: c.GetName(), Spec: spaceSpec(c.GetSpec()), Status: old.GetStatus()}
	if old == nil {
		space.Status = &runwayv1.SpaceStatus{Phase: runwayv1.SpacePhase_SPACE_PHASE_PROVISIONING}
		tx.PutEvent(ofSpace(c.GetName(), "space.created", "space "+c.GetName()))
	}
	if space.GetSpec().GetDelete() && !old.GetSpec().GetDelete() {
		tx.PutEvent(ofSpace(c.GetName(), "space.deleting", "space "+c.GetName()))
	}
	tx.PutSpace(space)
	if c.GetWithServices() {
		return space, deleteServices(tx, c)
	}
	return space, nil
}

// deleteServices deletes what is in a space that is to be deleted.
func deleteServices(tx *state.Tx, c *runwayv1.PutSpace) error {
	for _, workload := range tx.WorkloadsIn(c.GetName()) {
		if _, err := deleteWorkload(tx, &runwayv1.DeleteWorkload{Workload: workload.GetKey(), By: c.GetBy()}); err != nil {
			return err
		}
	}
	return nil
}

func checkSpaceChange(tx *state.Tx, old *runwayv1.Space, c *runwayv1.PutSpace) error {
	name := c.GetName()
	switch {
	case old != nil && c.GetCreate():
		return reject(ErrExists, code.SpaceExists, "space %q exists already", name)
	case old == nil && c.GetSpec().GetDelete():
		return reject(ErrNotFound, code.SpaceNotFound, "there is no space %q", name)
	case old == nil && tx.Count(state.TableSpaces) >= maxSpaces:
		return reject(ErrInvalid, code.SpecInvalid, "the cluster has %d spaces, which is the most", maxSpaces)
	case old != nil && old.GetSpec().GetRestricted() != c.GetSpec().GetRestricted():
		return reject(ErrInvalid, code.SpecInvalid, "space %q is restricted or not from the beginning: its replicas run by that", name)
	case old.GetSpec().GetDelete() && !c.GetSpec().GetDelete():
		return reject(ErrConflict, code.SpaceNotReady, "space %q is being deleted", name)
	}
	if c.GetWithServices() && !c.GetSpec().GetDelete() {
		return reject(ErrInvalid, code.SpecInvalid, "the services of space %q are deleted with it, or not at all", name)
	}
	if !c.GetSpec().GetDelete() || c.GetWithServices() {
		return nil
	}
	for _, workload := range tx.WorkloadsIn(name) {
		if !workload.GetDelete() {
			return reject(ErrConflict, code.SpaceNotEmpty, "space %q has service %q", name, workload.GetKey().GetService())
		}
	}
	return nil
}

func spaceSpec(spec *runwayv1.SpaceSpec) *runwayv1.SpaceSpec {
	return &runwayv1.SpaceSpec{Description: bounded(spec.GetDescription()), Delete: spec.GetDelete(), Restricted: spec.GetRestricted()}
}
