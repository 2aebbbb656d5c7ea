package command

import (
	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// maxSpaces bounds the tenants of a cluster.
const maxSpaces = 10_000

// putSpace makes a space, or changes what is asked of it. Deletion is final, and
// is refused while a workload is not being deleted itself.
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
	return space, nil
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
	case old.GetSpec().GetDelete() && !c.GetSpec().GetDelete():
		return reject(ErrConflict, code.SpaceNotReady, "space %q is being deleted", name)
	}
	if !c.GetSpec().GetDelete() {
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
	return &runwayv1.SpaceSpec{Description: bounded(spec.GetDescription()), Delete: spec.GetDelete()}
}
