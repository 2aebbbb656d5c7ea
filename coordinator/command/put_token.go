package command

import (
	"crypto/sha256"

	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// maxTokens bounds the tokens of a cluster.
const maxTokens = 10_000

// putToken writes a bearer token of a person, a CI system or a scraper. Machines
// have certificates instead.
func putToken(tx *state.Tx, c *runwayv1.PutToken) (proto.Message, error) {
	token := c.GetToken()
	if err := checkID("token", token.GetId()); err != nil {
		return nil, err
	}
	if err := checkToken(tx, token); err != nil {
		return nil, err
	}
	token.Name = bounded(token.GetName())
	tx.PutToken(token)
	tx.PutEvent(&runwayv1.Event{Kind: "token.created", Message: "token " + token.GetName()})
	return token, nil
}

func checkToken(tx *state.Tx, token *runwayv1.Token) error {
	same := tx.TokenByHash(token.GetHash())
	switch {
	case len(token.GetHash()) != sha256.Size:
		return reject(ErrInvalid, code.SpecInvalid, "token %q has no SHA-256 hash", token.GetId())
	case token.GetRole() < runwayv1.Role_ROLE_VIEWER || runwayv1.Role_name[int32(token.GetRole())] == "":
		return reject(ErrInvalid, code.SpecInvalid, "role %v is not for tokens", token.GetRole())
	case same != nil && same.GetId() != token.GetId():
		return reject(ErrExists, code.Conflict, "token %q has the same secret", same.GetId())
	case tx.Token(token.GetId()) == nil && tx.Count(state.TableTokens) >= maxTokens:
		return reject(ErrInvalid, code.SpecInvalid, "the cluster has %d tokens, which is the most", maxTokens)
	}
	return nil
}
