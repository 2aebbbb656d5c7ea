package state

import (
	"encoding/hex"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

const byHash = "hash"

var tokenTable = table[*runwayv1.Token]{
	name: TableTokens,
	key:  (*runwayv1.Token).GetId,
	indexes: map[string]func(*runwayv1.Token) string{
		byHash: func(t *runwayv1.Token) string { return hex.EncodeToString(t.GetHash()) },
	},
}

var joinTokenTable = table[*runwayv1.JoinToken]{
	name: TableJoinTokens,
	key:  (*runwayv1.JoinToken).GetId,
	indexes: map[string]func(*runwayv1.JoinToken) string{
		byHash: func(t *runwayv1.JoinToken) string { return hex.EncodeToString(t.GetHash()) },
	},
}

// Token returns a bearer token by id.
func (v *View) Token(id string) *runwayv1.Token { return tokenTable.get(v, id) }

// TokenByHash returns the bearer token whose secret has the SHA-256 hash, expired
// or not.
func (v *View) TokenByHash(hash []byte) *runwayv1.Token {
	return tokenTable.find(v, byHash, hex.EncodeToString(hash))
}

// Tokens returns every bearer token.
func (v *View) Tokens() []*runwayv1.Token { return tokenTable.all(v) }

// PutToken writes a bearer token.
func (tx *Tx) PutToken(token *runwayv1.Token) { tokenTable.put(tx, token) }

// DeleteToken removes a bearer token.
func (tx *Tx) DeleteToken(id string) { tokenTable.remove(tx, id) }

// JoinToken returns a join token by id.
func (v *View) JoinToken(id string) *runwayv1.JoinToken { return joinTokenTable.get(v, id) }

// JoinTokenByHash returns the join token whose secret has the SHA-256 hash,
// expired or not. Used up ones are gone.
func (v *View) JoinTokenByHash(hash []byte) *runwayv1.JoinToken {
	return joinTokenTable.find(v, byHash, hex.EncodeToString(hash))
}

// JoinTokens returns every join token.
func (v *View) JoinTokens() []*runwayv1.JoinToken { return joinTokenTable.all(v) }

// PutJoinToken writes a join token.
func (tx *Tx) PutJoinToken(token *runwayv1.JoinToken) { joinTokenTable.put(tx, token) }

// DeleteJoinToken removes a join token.
func (tx *Tx) DeleteJoinToken(id string) { joinTokenTable.remove(tx, id) }
