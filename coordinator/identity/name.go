package identity

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// ErrName means that a certificate or URI does not name a machine of a cluster.
var ErrName = errors.New("not a machine of a cluster")

// scheme of every machine name; SPIFFE IDs are understood by other tools too.
const scheme = "spiffe"

// segment is what clusters and machines may be called: it must survive a URI
// unescaped, so that two spellings of one name cannot exist.
var segment = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)

// roleWords are the machine roles as they appear in names and join tokens.
var roleWords = map[runwayv1.Role]string{
	runwayv1.Role_ROLE_NODE:        "node",
	runwayv1.Role_ROLE_INGRESS:     "ingress",
	runwayv1.Role_ROLE_COORDINATOR: "coordinator",
}

// Name is who a machine is. It is carried as the one URI SAN of its certificate,
// spiffe://<cluster>/<role>/<id>, and nothing else of a certificate is believed.
type Name struct {
	Cluster string
	// Role is ROLE_NODE, ROLE_INGRESS or ROLE_COORDINATOR.
	Role runwayv1.Role
	ID   string
}

// URI returns the name as a SPIFFE ID.
func (n Name) URI() *url.URL {
	return &url.URL{Scheme: scheme, Host: n.Cluster, Path: "/" + roleWords[n.Role] + "/" + n.ID}
}

// String returns the SPIFFE ID.
func (n Name) String() string { return n.URI().String() }

// Validate returns ErrName when the name cannot be put into a certificate.
func (n Name) Validate() error {
	if roleWords[n.Role] == "" || !segment.MatchString(n.Cluster) || !segment.MatchString(n.ID) {
		return fmt.Errorf("name %s/%s/%s: %w", n.Cluster, n.Role, n.ID, ErrName)
	}
	return nil
}

// ParseName reads a SPIFFE ID. Any form but the canonical one gives ErrName.
func ParseName(u *url.URL) (Name, error) {
	parts := strings.Split(strings.TrimPrefix(u.Path, "/"), "/")
	if u.Scheme != scheme || len(parts) != 2 {
		return Name{}, fmt.Errorf("parse name %q: %w", u, ErrName)
	}
	name := Name{Cluster: u.Host, Role: roleOf(parts[0]), ID: parts[1]}
	if name.Validate() != nil || name.String() != u.String() {
		return Name{}, fmt.Errorf("parse name %q: %w", u, ErrName)
	}
	return name, nil
}

// NameOf returns who a certificate is for. It reads the URI SAN only and refuses
// a certificate with none or several.
func NameOf(certificate *x509.Certificate) (Name, error) {
	if len(certificate.URIs) != 1 {
		return Name{}, fmt.Errorf("certificate %q with %d URI names: %w",
			certificate.Subject.CommonName, len(certificate.URIs), ErrName)
	}
	return ParseName(certificate.URIs[0])
}

func roleOf(word string) runwayv1.Role {
	for role, w := range roleWords {
		if w == word {
			return role
		}
	}
	return runwayv1.Role_ROLE_UNSPECIFIED
}
