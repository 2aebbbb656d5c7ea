package command

import (
	"crypto/sha256"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// maxJoinTokens bounds the join tokens that may wait to be used.
const maxJoinTokens = 1000

// putJoinToken writes a join token of a machine, and forgets expired ones.
func putJoinToken(tx *state.Tx, c *runwayv1.PutJoinToken) (proto.Message, error) {
	token := c.GetToken()
	if err := checkID("join token", token.GetId()); err != nil {
		return nil, err
	}
	if err := checkJoinToken(tx, token); err != nil {
		return nil, err
	}
	for _, old := range tx.JoinTokens() {
		if hasExpired(tx, old.GetExpiresAt()) {
			tx.DeleteJoinToken(old.GetId())
		}
	}
	if tx.Count(state.TableJoinTokens) >= maxJoinTokens {
		return nil, reject(ErrInvalid, code.SpecInvalid, "%d join tokens wait to be used, which is the most", maxJoinTokens)
	}
	tx.PutJoinToken(token)
	tx.PutEvent(&runwayv1.Event{Kind: "join_token.created", Message: "join token " + token.GetId()})
	return token, nil
}

func checkJoinToken(tx *state.Tx, token *runwayv1.JoinToken) error {
	same := tx.JoinTokenByHash(token.GetHash())
	switch {
	case len(token.GetHash()) != sha256.Size:
		return reject(ErrInvalid, code.SpecInvalid, "join token %q has no SHA-256 hash", token.GetId())
	case token.GetRole() < runwayv1.Role_ROLE_NODE || token.GetRole() > runwayv1.Role_ROLE_COORDINATOR:
		return reject(ErrInvalid, code.SpecInvalid, "role %v is not for machines", token.GetRole())
	case token.GetUsesLeft() == 0:
		return reject(ErrInvalid, code.SpecInvalid, "join token %q has no use", token.GetId())
	case same != nil && same.GetId() != token.GetId():
		return reject(ErrExists, code.Conflict, "join token %q has the same secret", same.GetId())
	}
	return nil
}

// hasExpired compares with the time of the command, not of the member. A token
// without an end never expires.
func hasExpired(tx *state.Tx, end *timestamppb.Timestamp) bool {
	return end != nil && !tx.At().AsTime().Before(end.AsTime())
}
