package api

import (
	"context"
	"crypto/rand"
	"strings"
	"time"

	"github.com/runway-platform/runway/coordinator/caller"
	"github.com/runway-platform/runway/coordinator/identity"
	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// identityService gives certificates to machines.
type identityService struct {
	runwayv1.UnimplementedIdentityServer
	*API
}

// machinePrefix makes it visible what an ID names.
var machinePrefix = map[runwayv1.Role]string{node: "n-", ingress: "i-"}

// runwayv1.IdentityServer

// Enrol signs first and takes the token's use second: a malformed request costs no
// use, and two machines with one use race in the log.
func (s identityService) Enrol(ctx context.Context, request *runwayv1.EnrolRequest) (*runwayv1.EnrolResponse, error) {
	token, err := s.joinToken(request.GetJoinToken(), time.Now())
	if err != nil {
		return nil, err
	}
	authority, err := s.authority()
	if err != nil {
		return nil, err
	}
	name := identity.Name{Cluster: authority.Cluster(), Role: token.GetRole(), ID: newID(machinePrefix[token.GetRole()])}
	chain, err := authority.SignMachine(request.GetCsr(), name, token.GetPool(), time.Now())
	if err != nil {
		return nil, err
	}
	if _, err := s.config.Applier.Apply(ctx, &runwayv1.UseJoinToken{Token: token.GetId()}); err != nil {
		return nil, err
	}
	s.log.Info("machine enrolled", "machine", name.String(), "name", cut(request.GetName()), "join_token", token.GetId())
	return &runwayv1.EnrolResponse{Id: name.ID, Chain: chain, Ca: authority.CertificatePEM()}, nil
}

// Renew signs for the identity and the pool of the caller's certificate, which the
// handshake has proven, as long as the state knows the machine.
func (s identityService) Renew(ctx context.Context, request *runwayv1.RenewRequest) (*runwayv1.RenewResponse, error) {
	who := caller.From(ctx)
	if !known(s.view(), who) {
		return nil, refuse(deniedStatus, code.PermissionDenied, "machine %q is not part of the cluster any more", who.ID)
	}
	authority, err := s.authority()
	if err != nil {
		return nil, err
	}
	name := identity.Name{Cluster: authority.Cluster(), Role: who.Role, ID: who.ID}
	chain, err := authority.SignMachine(request.GetCsr(), name, who.Pool, time.Now())
	if err != nil {
		return nil, err
	}
	return &runwayv1.RenewResponse{Chain: chain, Ca: authority.CertificatePEM()}, nil
}

// joinToken finds the stored token of a text. Used, late, for another role or never
// made: the answer is the same.
func (s identityService) joinToken(text string, now time.Time) (*runwayv1.JoinToken, error) {
	parsed, err := identity.ParseJoinToken(text)
	if err != nil {
		return nil, badJoinToken()
	}
	token := s.view().JoinTokenByHash(identity.Hash(text))
	if token == nil || !identity.Matches(text, token.GetHash()) || token.GetRole() != parsed.Role {
		return nil, badJoinToken()
	}
	late := token.GetExpiresAt() != nil && !now.Before(token.GetExpiresAt().AsTime())
	if late || machinePrefix[token.GetRole()] == "" {
		return nil, badJoinToken()
	}
	return token, nil
}

func badJoinToken() error {
	return refuse(unauthenticatedStatus, code.JoinTokenInvalid, "the join token is not valid")
}

// known says whether a machine is registered.
func known(view *state.View, who caller.Caller) bool {
	switch who.Role {
	case node:
		return view.Node(who.ID) != nil
	case ingress:
		return view.Ingress(who.ID) != nil
	default:
		return false
	}
}

// newID makes an identifier that was never used, with a prefix that says of what.
func newID(prefix string) string { return prefix + strings.ToLower(rand.Text()[:12]) }
