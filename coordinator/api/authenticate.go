package api

import (
	"context"
	"crypto/x509"
	"strings"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/runway-platform/runway/coordinator/caller"
	"github.com/runway-platform/runway/coordinator/identity"
	"github.com/runway-platform/runway/proto/code"
)

// authenticate says who calls: the machine of a certificate, or the owner of a
// bearer token. A connection with a certificate is a machine's, whatever else it
// sends. Every failure reads the same, so that nothing is learned by trying.
func (a *API) authenticate(ctx context.Context, now time.Time) (caller.Caller, error) {
	if certificate := peerCertificate(ctx); certificate != nil {
		return a.machine(certificate, now)
	}
	return a.bearer(ctx, now)
}

func (a *API) machine(certificate *x509.Certificate, now time.Time) (caller.Caller, error) {
	name, err := identity.NameOf(certificate)
	if err != nil || name.Cluster != a.view().Cluster().GetId() {
		return caller.Caller{}, unauthenticated()
	}
	if a.view().RemovedMachine(name.ID) != nil {
		return caller.Caller{}, refuse(unauthenticatedStatus, code.MachineRemoved, "machine %q was removed from the cluster", name.ID)
	}
	return caller.Caller{ID: name.ID, Name: name.ID, Role: name.Role, Pool: identity.PoolOf(certificate), Expires: certificate.NotAfter}, nil
}

func (a *API) bearer(ctx context.Context, now time.Time) (caller.Caller, error) {
	text, ok := bearerOf(ctx)
	if !ok || !identity.IsBearer(text) {
		return caller.Caller{}, unauthenticated()
	}
	token := a.view().TokenByHash(identity.Hash(text))
	if token == nil || !identity.Matches(text, token.GetHash()) {
		return caller.Caller{}, unauthenticated()
	}
	who := caller.Caller{ID: token.GetId(), Name: token.GetName(), Role: token.GetRole(), Spaces: token.GetSpaces()}
	if token.GetExpiresAt() != nil {
		who.Expires = token.GetExpiresAt().AsTime()
	}
	return who, nil
}

// checkLife refuses credentials whose life is over. A machine may still renew.
func checkLife(who caller.Caller, r right, now time.Time) error {
	if who.Expires.IsZero() || now.Before(who.Expires) || r.expired {
		return nil
	}
	return refuse(unauthenticatedStatus, code.TokenExpired, "the credential of %q has expired", who.Name)
}

func peerCertificate(ctx context.Context) *x509.Certificate {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.PeerCertificates) == 0 {
		return nil
	}
	return info.State.PeerCertificates[0]
}

// bearerOf returns the token of the one authorization header.
func bearerOf(ctx context.Context) (string, bool) {
	incoming, _ := metadata.FromIncomingContext(ctx)
	values := incoming.Get("authorization")
	if len(values) != 1 {
		return "", false
	}
	scheme, text, ok := strings.Cut(values[0], " ")
	return text, ok && strings.EqualFold(scheme, "bearer")
}

func peerAddress(ctx context.Context) string {
	if p, ok := peer.FromContext(ctx); ok && p.Addr != nil {
		return p.Addr.String()
	}
	return ""
}
