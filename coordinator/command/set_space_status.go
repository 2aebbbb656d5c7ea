package command

import (
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// maxSpaceParts bounds what a space is made of.
const maxSpaceParts = 100

// setSpaceStatus writes what the provisioner made of a space.
func setSpaceStatus(tx *state.Tx, c *runwayv1.SetSpaceStatus) (proto.Message, error) {
	old := tx.Space(c.GetName())
	if old == nil {
		return nil, reject(ErrNotFound, code.SpaceNotFound, "there is no space %q", c.GetName())
	}
	phase := c.GetStatus().GetPhase()
	if runwayv1.SpacePhase_name[int32(phase)] == "" || phase == runwayv1.SpacePhase_SPACE_PHASE_UNSPECIFIED {
		return nil, reject(ErrInvalid, code.SpecInvalid, "space phase %d is unknown", phase)
	}
	if len(c.GetStatus().GetParts()) > maxSpaceParts {
		return nil, reject(ErrInvalid, code.SpecInvalid, "space %q has more than %d parts", c.GetName(), maxSpaceParts)
	}
	space := state.Clone(old)
	space.Status = c.GetStatus()
	space.Status.Cause = boundedCause(c.GetStatus().GetCause())
	tx.PutSpace(space)
	if phase != old.GetStatus().GetPhase() {
		tx.PutEvent(warning(ofSpace(c.GetName(), "space."+phaseWord(phase.String(), "SPACE_PHASE_"), space.GetStatus().GetCause().GetSummary()), space.GetStatus().GetCause().GetCode()))
	}
	return space, nil
}

// phaseWord turns NODE_PHASE_DOWN into down, for the kind of an event.
func phaseWord(phase, prefix string) string {
	return strings.ToLower(strings.TrimPrefix(phase, prefix))
}
