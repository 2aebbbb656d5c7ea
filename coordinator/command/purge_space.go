package command

import (
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// purgeSpace forgets a deleted space. Tokens lose it, so that a later space of the
// same name does not inherit them.
func purgeSpace(tx *state.Tx, c *runwayv1.PurgeSpace) (proto.Message, error) {
	space := tx.Space(c.GetName())
	switch {
	case space == nil:
		return nil, reject(ErrNotFound, code.SpaceNotFound, "there is no space %q", c.GetName())
	case !space.GetSpec().GetDelete():
		return nil, reject(ErrConflict, code.Conflict, "nobody asked to delete space %q", c.GetName())
	case len(tx.WorkloadsIn(c.GetName())) > 0:
		return nil, reject(ErrConflict, code.SpaceNotEmpty, "space %q has services", c.GetName())
	}
	tx.DeleteSpace(c.GetName())
	for _, token := range tx.Tokens() {
		withdrawSpace(tx, token, c.GetName())
	}
	tx.PutEvent(ofSpace(c.GetName(), "space.deleted", "space "+c.GetName()))
	return nil, nil
}

// withdrawSpace takes a space from a token. The last one takes the token with it,
// because a token without spaces would hold in all of them.
func withdrawSpace(tx *state.Tx, token *runwayv1.Token, space string) {
	if !slices.Contains(token.GetSpaces(), space) {
		return
	}
	if len(token.GetSpaces()) == 1 {
		tx.DeleteToken(token.GetId())
		return
	}
	reduced := state.Clone(token)
	reduced.Spaces = slices.DeleteFunc(reduced.Spaces, func(name string) bool { return name == space })
	tx.PutToken(reduced)
}
