package command

import (
	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// useJoinToken takes one use of a join token; the last one takes the token. Two
// machines with the same single use race in the log, and one of them loses.
func useJoinToken(tx *state.Tx, c *runwayv1.UseJoinToken) (proto.Message, error) {
	old := tx.JoinToken(c.GetToken())
	if old == nil || old.GetUsesLeft() == 0 || hasExpired(tx, old.GetExpiresAt()) {
		return nil, reject(ErrNotFound, code.JoinTokenInvalid, "join token %q is used up or has expired", c.GetToken())
	}
	token := state.Clone(old)
	token.UsesLeft--
	if token.GetUsesLeft() == 0 {
		tx.DeleteJoinToken(token.GetId())
	} else {
		tx.PutJoinToken(token)
	}
	tx.PutEvent(&runwayv1.Event{Kind: "join_token.used", Message: "join token " + token.GetId()})
	return token, nil
}
