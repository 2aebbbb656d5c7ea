package command

import (
	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// removeIngress forgets an ingress, which frees the addresses that it may have
// held. Its identity does not come back.
func removeIngress(tx *state.Tx, c *runwayv1.RemoveIngress) (proto.Message, error) {
	ingress := tx.Ingress(c.GetIngress())
	if ingress == nil {
		return nil, reject(ErrNotFound, code.SpecInvalid, "there is no ingress %q", c.GetIngress())
	}
	tx.DeleteIngress(ingress.GetId())
	tx.PutRemovedMachine(ingress.GetId())
	tx.PutEvent(ofIngress(ingress.GetId(), "ingress.removed", "ingress "+ingress.GetName()))
	return nil, nil
}
