package command

import (
	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// setIngressPhase writes whether an ingress is heard of.
func setIngressPhase(tx *state.Tx, c *runwayv1.SetIngressPhase) (proto.Message, error) {
	old := tx.Ingress(c.GetIngress())
	if old == nil {
		return nil, reject(ErrNotFound, code.SpecInvalid, "there is no ingress %q", c.GetIngress())
	}
	if old.GetStatus().GetPhase() == c.GetPhase() {
		return old, nil
	}
	if c.GetPhase() != runwayv1.IngressPhase_INGRESS_PHASE_LIVE && c.GetPhase() != runwayv1.IngressPhase_INGRESS_PHASE_LOST {
		return nil, reject(ErrInvalid, code.SpecInvalid, "ingress phase %d is unknown", c.GetPhase())
	}
	if rejection := checkReturn(tx, c); rejection != nil {
		return nil, rejection
	}
	ingress := state.Clone(old)
	ingress.Status.Phase, ingress.Status.PhaseSince, ingress.Status.Cause = c.GetPhase(), tx.At(), nil
	event := ofIngress(ingress.GetId(), "ingress."+phaseWord(c.GetPhase().String(), "INGRESS_PHASE_"), "ingress "+ingress.GetName()+": "+c.GetReason())
	if c.GetPhase() == runwayv1.IngressPhase_INGRESS_PHASE_LOST {
		ingress.Status.Cause = boundedCause(c.GetCause())
		warning(event, c.GetCause().GetCode())
	}
	tx.PutIngress(ingress)
	tx.PutEvent(event)
	return ingress, nil
}

// checkReturn refuses an ingress that may route to what the live ones have given up since
// it was found fit to be one of them.
func checkReturn(tx *state.Tx, c *runwayv1.SetIngressPhase) *Rejection {
	if c.GetSeen() == 0 || c.GetPhase() != runwayv1.IngressPhase_INGRESS_PHASE_LIVE {
		return nil
	}
	for _, r := range tx.Replicas() {
		if r.GetRouting().GetUnrouted() && r.GetMeta().GetModifiedIndex() > c.GetSeen() {
			return reject(ErrConflict, code.Conflict, "replica %q has changed since index %d", r.GetId(), c.GetSeen())
		}
	}
	return nil
}
