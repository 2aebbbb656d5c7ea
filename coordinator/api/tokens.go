package api

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/runway-platform/runway/coordinator/caller"
	"github.com/runway-platform/runway/coordinator/identity"
	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

const (
	// tokenLife is short enough that a forgotten token dies by itself.
	tokenLife, maxTokenLife = 90 * 24 * time.Hour, 366 * 24 * time.Hour
	maxTokenName            = 100
	maxTokenSpaces          = 100
)

// tokenService gives tokens to people and CI systems.
type tokenService struct {
	runwayv1.UnimplementedTokensServer
	*API
}

// runwayv1.TokensServer

func (s tokenService) CreateToken(ctx context.Context, request *runwayv1.CreateTokenRequest) (*runwayv1.CreateTokenResponse, error) {
	life, err := lifeOf(request.GetTtl(), tokenLife, maxTokenLife)
	if err != nil {
		return nil, err
	}
	if err := checkGrant(s.view(), caller.From(ctx), request); err != nil {
		return nil, err
	}
	secret, err := identity.NewBearer()
	if err != nil {
		return nil, err
	}
	token, err := apply[*runwayv1.Token](ctx, s.API, &runwayv1.PutToken{Token: &runwayv1.Token{
		Id: newID("t-"), Name: request.GetName(), Hash: identity.Hash(secret), Role: request.GetRole(),
		Spaces: request.GetSpaces(), ExpiresAt: timestamppb.New(time.Now().Add(life)),
	}})
	if err != nil {
		return nil, err
	}
	return &runwayv1.CreateTokenResponse{Secret: secret, Token: withoutHash(token)}, nil
}

func (s tokenService) ListTokens(ctx context.Context, _ *runwayv1.ListTokensRequest) (*runwayv1.ListTokensResponse, error) {
	who := caller.From(ctx)
	answer := &runwayv1.ListTokensResponse{}
	for _, token := range s.view().Tokens() {
		if holds(who, token.GetRole(), token.GetSpaces()) || who.Role == auditor {
			answer.Tokens = append(answer.Tokens, withoutHash(token))
		}
	}
	return answer, nil
}

func (s tokenService) RevokeToken(ctx context.Context, request *runwayv1.RevokeTokenRequest) (*runwayv1.RevokeTokenResponse, error) {
	token := s.view().Token(request.GetId())
	if token == nil || !holds(caller.From(ctx), token.GetRole(), token.GetSpaces()) {
		return nil, refuse(notFoundStatus, code.SpecInvalid, "there is no token %q", cut(request.GetId()))
	}
	if _, err := s.config.Applier.Apply(ctx, &runwayv1.RevokeToken{Token: token.GetId()}); err != nil {
		return nil, err
	}
	return &runwayv1.RevokeTokenResponse{}, nil
}

// checkGrant refuses a token that would hold more than its maker does, or in spaces
// that do not exist for the maker.
func checkGrant(view *state.View, who caller.Caller, request *runwayv1.CreateTokenRequest) error {
	if request.GetName() == "" || len(request.GetName()) > maxTokenName || len(request.GetSpaces()) > maxTokenSpaces {
		return invalid(code.SpecInvalid, "a token needs a name of at most %d bytes and at most %d spaces", maxTokenName, maxTokenSpaces)
	}
	if request.GetRole() < viewer || request.GetRole() > scraper {
		return invalid(code.SpecInvalid, "role %s is not for tokens", request.GetRole())
	}
	if caller.HoldsInSpaces(request.GetRole()) && len(request.GetSpaces()) == 0 {
		return invalid(code.SpecInvalid, "a token of role %s needs the names of its spaces", request.GetRole())
	}
	if !caller.HoldsInSpaces(request.GetRole()) && len(request.GetSpaces()) > 0 {
		return invalid(code.SpecInvalid, "role %s holds in the whole cluster; leave its spaces out, or give a role that holds in spaces", request.GetRole())
	}
	for _, space := range request.GetSpaces() {
		if !who.Sees(space) || view.Space(space) == nil {
			return noSpace(space)
		}
	}
	if !holds(who, request.GetRole(), request.GetSpaces()) {
		return refuse(deniedStatus, code.PermissionDenied, "%q may not give the role %s", who.Name, request.GetRole())
	}
	return nil
}

// holds says whether the caller has everything that a token would have.
func holds(who caller.Caller, role runwayv1.Role, spaces []string) bool {
	switch who.Role {
	case admin:
		return who.SeesAll()
	case coordinator:
		return role == admin && len(spaces) == 0
	}
	if who.Role != spaceAdmin || !caller.HoldsInSpaces(role) || len(spaces) == 0 {
		return false
	}
	for _, space := range spaces {
		if !who.Sees(space) {
			return false
		}
	}
	return true
}

// withoutHash is a token as it is shown: the hash is nobody's business.
func withoutHash(token *runwayv1.Token) *runwayv1.Token {
	public := state.Clone(token)
	public.Hash = nil
	return public
}
