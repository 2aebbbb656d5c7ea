package identity

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// ErrToken means that a text is not a token of the kind that is asked for. The
// text itself is never part of an error.
var ErrToken = errors.New("malformed token")

const (
	// bearerPrefix and joinPrefix let secret scanners find tokens in the wild.
	bearerPrefix = "rwt_"
	joinPrefix   = "rwj_"
	// secretBytes is far beyond guessing, so that a plain SHA-256 is enough at rest.
	secretBytes = 32
)

// NewBearer makes the token of a person or CI system. Only its Hash may be kept.
func NewBearer() (string, error) {
	secret, err := newSecret()
	if err != nil {
		return "", err
	}
	return bearerPrefix + secret, nil
}

// JoinToken is what a machine enrols with: rwj_<role>_<secret>_<pin>. The pin is the
// SHA-256 of the authority's certificate, so that the machine sends nothing to a
// coordinator of another cluster.
type JoinToken struct {
	Role   runwayv1.Role
	Secret string
	Pin    [sha256.Size]byte
}

// NewJoinToken makes a token for a machine of a role (node, ingress, coordinator).
// Only the Hash of its text may be kept.
func (a *Authority) NewJoinToken(role runwayv1.Role) (JoinToken, error) {
	if roleWords[role] == "" {
		return JoinToken{}, fmt.Errorf("make join token for role %s: %w", role, ErrToken)
	}
	secret, err := newSecret()
	if err != nil {
		return JoinToken{}, err
	}
	return JoinToken{Role: role, Secret: secret, Pin: a.Pin()}, nil
}

// Text returns the token as it is handed to a machine.
func (t JoinToken) Text() string {
	return joinPrefix + roleWords[t.Role] + "_" + t.Secret + "_" + hex.EncodeToString(t.Pin[:])
}

// String hides the secret, so that a token in a log or an error is harmless.
func (t JoinToken) String() string { return joinPrefix + roleWords[t.Role] + "_hidden" }

// GoString hides the secret from %#v as well.
func (t JoinToken) GoString() string { return t.String() }

// ParseJoinToken reads the text of a join token. It gives ErrToken for any other.
func ParseJoinToken(text string) (JoinToken, error) {
	parts := strings.Split(text, "_")
	if len(parts) != 4 || parts[0]+"_" != joinPrefix {
		return JoinToken{}, ErrToken
	}
	token := JoinToken{Role: roleOf(parts[1]), Secret: parts[2]}
	pin, err := hex.DecodeString(parts[3])
	if err != nil || len(pin) != len(token.Pin) {
		return JoinToken{}, ErrToken
	}
	copy(token.Pin[:], pin)
	if token.Role == runwayv1.Role_ROLE_UNSPECIFIED || token.Text() != text || !isSecret(token.Secret) {
		return JoinToken{}, ErrToken
	}
	return token, nil
}

// IsBearer says whether a text has the form of a bearer token.
func IsBearer(text string) bool {
	secret, ok := strings.CutPrefix(text, bearerPrefix)
	return ok && isSecret(secret)
}

// Hash returns what is stored of a token's text and looked it up by.
func Hash(text string) []byte {
	sum := sha256.Sum256([]byte(text))
	return sum[:]
}

// Matches compares a token's text with a stored hash in constant time.
func Matches(text string, hash []byte) bool {
	return subtle.ConstantTimeCompare(Hash(text), hash) == 1
}

func newSecret() (string, error) {
	secret := make([]byte, secretBytes)
	if _, err := rand.Read(secret); err != nil {
		return "", fmt.Errorf("make token: %w", err)
	}
	return hex.EncodeToString(secret), nil
}

func isSecret(text string) bool {
	secret, err := hex.DecodeString(text)
	return err == nil && len(secret) == secretBytes && strings.ToLower(text) == text
}
