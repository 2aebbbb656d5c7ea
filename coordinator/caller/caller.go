// Package caller carries who is calling through a request's context. Only the
// interceptors of coordinator/api put a caller there; everybody else reads it.
package caller

import (
	"context"
	"slices"
	"time"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// Caller is an authenticated person, CI system or machine. The zero value is
// nobody and has no rights.
type Caller struct {
	// ID of the token or machine.
	ID string
	// Name is for people: the name of the token or the machine's ID.
	Name string
	Role runwayv1.Role
	// Spaces that the caller is limited to. Empty means all of them for cluster roles
	// and none for roles that hold in spaces.
	Spaces []string
	// Pool that a node's certificate is bound to; empty when it is bound to none.
	Pool string
	// Expires is when the token's or certificate's life ends; zero means never.
	Expires time.Time
}

// Sees says whether objects of a space exist for the caller. Names are compared
// whole and byte by byte.
func (c Caller) Sees(space string) bool {
	return c.SeesAll() || slices.Contains(c.Spaces, space)
}

// SeesAll says whether objects of every space, and those of none, exist for the
// caller.
func (c Caller) SeesAll() bool {
	return len(c.Spaces) == 0 && c.Role != runwayv1.Role_ROLE_UNSPECIFIED && !HoldsInSpaces(c.Role)
}

// HoldsInSpaces says whether a role is given for named spaces only.
func HoldsInSpaces(role runwayv1.Role) bool {
	switch role {
	case runwayv1.Role_ROLE_VIEWER, runwayv1.Role_ROLE_DEPLOYER, runwayv1.Role_ROLE_SPACE_ADMIN:
		return true
	default:
		return false
	}
}

type key struct{}

// With returns a context that carries the caller.
func With(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, key{}, c)
}

// From returns the caller of a request, nobody when there is none.
func From(ctx context.Context) Caller {
	c, _ := ctx.Value(key{}).(Caller)
	return c
}
