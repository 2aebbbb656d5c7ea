package command

import (
	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// revokeToken forgets a bearer token. The last one of a cluster admin stays, or
// nobody could make another.
func revokeToken(tx *state.Tx, c *runwayv1.RevokeToken) (proto.Message, error) {
	token := tx.Token(c.GetToken())
	if token == nil {
		return nil, reject(ErrNotFound, code.SpecInvalid, "there is no token %q", c.GetToken())
	}
	if isAdmin(tx, token) && !hasOtherAdmin(tx, token.GetId()) {
		return nil, reject(ErrConflict, code.Conflict, "token %q is the last one of a cluster admin", token.GetName())
	}
	tx.DeleteToken(token.GetId())
	tx.PutEvent(&runwayv1.Event{Kind: "token.revoked", Message: "token " + token.GetName()})
	return nil, nil
}

func hasOtherAdmin(tx *state.Tx, id string) bool {
	for _, token := range tx.Tokens() {
		if token.GetId() != id && isAdmin(tx, token) {
			return true
		}
	}
	return false
}

// isAdmin says whether the token could make another of its kind: one that is limited
// to spaces cannot.
func isAdmin(tx *state.Tx, token *runwayv1.Token) bool {
	return token.GetRole() == runwayv1.Role_ROLE_CLUSTER_ADMIN && len(token.GetSpaces()) == 0 && !hasExpired(tx, token.GetExpiresAt())
}
