package identity

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/runway-platform/runway/atomicfile"
)

// ErrExposed means that a key file can be read by others than its owner.
var ErrExposed = errors.New("file is readable by others")

// ownerOnly is the mode of every file with a secret in it.
const ownerOnly fs.FileMode = 0o600

// CreateKey makes a key-encryption key and writes it to a new file that only its
// owner can read. An existing file is never replaced: it gives fs.ErrExist.
func CreateKey(path string) (*Key, error) {
	secret, err := randomKey()
	if err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, ownerOnly)
	if err != nil {
		return nil, fmt.Errorf("create key file: %w", err)
	}
	if err := writeAndClose(file, []byte(hex.EncodeToString(secret)+"\n")); err != nil {
		return nil, fmt.Errorf("write key file %q: %w", path, err)
	}
	if err := syncDirectory(filepath.Dir(path)); err != nil {
		return nil, err
	}
	return newKey(secret)
}

// LoadKey reads the file that CreateKey wrote. It gives ErrExposed when others than
// the owner may read it and fs.ErrNotExist when there is none.
func LoadKey(path string) (*Key, error) {
	text, err := readOwned(path)
	if err != nil {
		return nil, fmt.Errorf("load key: %w", err)
	}
	secret, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, fmt.Errorf("load key file %q: not a key", path)
	}
	return newKey(secret)
}

// SaveCertificate writes a certificate with its key to one file, key first, that
// only its owner can read. The file is replaced at once or not at all.
func SaveCertificate(path string, certificate tls.Certificate) error {
	der, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	if err != nil {
		return fmt.Errorf("encode key for %q: %w", path, err)
	}
	text := encodeKey(der)
	for _, link := range certificate.Certificate {
		text = append(text, encodeCertificate(link)...)
	}
	return atomicfile.Write(path, text, ownerOnly)
}

// LoadCertificate reads what SaveCertificate wrote.
func LoadCertificate(path string) (tls.Certificate, error) {
	text, err := readOwned(path)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("load certificate: %w", err)
	}
	certificate, err := tls.X509KeyPair(text, text)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("load certificate file %q: %w", path, err)
	}
	return certificate, nil
}

func readOwned(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("read %q with mode %04o: %w", path, info.Mode().Perm(), ErrExposed)
	}
	return os.ReadFile(path)
}

func writeAndClose(file *os.File, text []byte) error {
	_, err := file.Write(text)
	return errors.Join(err, file.Sync(), file.Close())
}

func syncDirectory(path string) error {
	directory, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	if err := errors.Join(directory.Sync(), directory.Close()); err != nil {
		return fmt.Errorf("sync directory %q: %w", path, err)
	}
	return nil
}

func encodeKey(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}
