package identity

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
)

// ErrSealed means that a sealed value cannot be opened: another key, another
// place, or a flipped bit. Which one is not told apart.
var ErrSealed = errors.New("sealed value cannot be opened")

const (
	// keyBytes selects AES-256.
	keyBytes = 32
	// sealVersion is the first byte of a sealed value: AES-256-GCM, random nonce.
	sealVersion = 1
)

// Key is the key-encryption key. It lives in a file outside the replicated state,
// so that the log, a snapshot or a backup alone reveals nothing. Safe for
// concurrent use.
type Key struct {
	aead cipher.AEAD
}

// Seal encrypts a value for one place. The place (for example "cluster/ca-key") is
// authenticated but not kept: Open needs the same one, so that a sealed value that
// was moved elsewhere is refused.
func (k *Key) Seal(value []byte, place string) []byte {
	return k.aead.Seal([]byte{sealVersion}, nil, value, []byte(place))
}

// Open decrypts what Seal made for the same place. Anything else gives ErrSealed.
func (k *Key) Open(sealed []byte, place string) ([]byte, error) {
	if len(sealed) == 0 || sealed[0] != sealVersion {
		return nil, fmt.Errorf("open %q: %w", place, ErrSealed)
	}
	value, err := k.aead.Open(nil, nil, sealed[1:], []byte(place))
	if err != nil {
		return nil, fmt.Errorf("open %q: %w", place, ErrSealed)
	}
	return value, nil
}

// String hides the key.
func (k *Key) String() string { return "key hidden" }

// GoString hides the key from %#v as well.
func (k *Key) GoString() string { return k.String() }

func newKey(secret []byte) (*Key, error) {
	if len(secret) != keyBytes {
		return nil, fmt.Errorf("use key of %d bytes: want %d", len(secret), keyBytes)
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, fmt.Errorf("use key: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("use key: %w", err)
	}
	return &Key{aead: aead}, nil
}

func randomKey() ([]byte, error) {
	secret := make([]byte, keyBytes)
	if _, err := rand.Read(secret); err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	return secret, nil
}
