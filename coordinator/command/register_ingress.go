package command

import (
	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// maxIngresses bounds how many must confirm every route.
const maxIngresses = 1000

// registerIngress writes what an ingress says of itself. A new one is live; one that
// was lost stays so until it has confirmed the routes.
func registerIngress(tx *state.Tx, c *runwayv1.RegisterIngress) (proto.Message, error) {
	if err := checkIngress(tx, c); err != nil {
		return nil, err
	}
	old := tx.Ingress(c.GetIngress())
	ingress := &runwayv1.Ingress{Id: c.GetIngress(), Name: c.GetName(), Facts: c.GetFacts(), Status: old.GetStatus()}
	if old == nil {
		ingress.Status = &runwayv1.IngressStatus{Phase: runwayv1.IngressPhase_INGRESS_PHASE_LIVE, PhaseSince: tx.At()}
		tx.PutEvent(ofIngress(ingress.GetId(), "ingress.live", "ingress "+ingress.GetName()+" registered"))
	}
	tx.PutIngress(ingress)
	return ingress, nil
}

func checkIngress(tx *state.Tx, c *runwayv1.RegisterIngress) error {
	if err := checkID("ingress", c.GetIngress()); err != nil {
		return err
	}
	if err := checkID("ingress name", c.GetName()); err != nil {
		return err
	}
	if err := checkNotRemoved(tx, c.GetIngress()); err != nil {
		return err
	}
	if proto.Size(c.GetFacts()) > maxSpec {
		return reject(ErrInvalid, code.SpecInvalid, "the ingress's facts have more than %d bytes", maxSpec)
	}
	if tx.Ingress(c.GetIngress()) == nil && tx.Count(state.TableIngresses) >= maxIngresses {
		return reject(ErrInvalid, code.SpecInvalid, "the cluster has %d ingresses, which is the most", maxIngresses)
	}
	return nil
}
