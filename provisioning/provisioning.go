// Package provisioning makes and takes away what users ask the platform for: a
// space to deploy into, later a pool of nodes to deploy onto. It holds the
// interface; implementations are packages below. It knows nothing of the
// coordinator's state: the controller that reconciles requests translates.
package provisioning

import (
	"context"
	"errors"
)

// Kind of a request.
type Kind string

// The kinds that can be asked for.
const (
	Space Kind = "space"
)

// Request names what is wanted. Names are DNS labels.
type Request struct {
	Kind Kind
	Name string
}

// Action of a step.
type Action string

// What a step does with its part.
const (
	Create  Action = "create"
	Keep    Action = "keep"
	Destroy Action = "destroy"
)

// Step is one part and what would be done with it.
type Step struct {
	Part   string
	Action Action
	// Detail says it to people: "revoke 2 tokens".
	Detail string
}

// Part is one thing that a request is made of.
type Part struct {
	Name   string
	Ready  bool
	Detail string
}

// ErrKind means that a provisioner was asked for a kind that is not its own.
var ErrKind = errors.New("this provisioner does not make that kind")

// Provisioner makes and destroys one kind of thing. Calls may be repeated at any
// time, also after a crash in the middle: each one looks at what is there and goes
// on from it. No call blocks for longer than its context.
type Provisioner interface {
	// Plan returns what Apply, or Destroy when destroy is set, would do, in order.
	// It changes nothing.
	Plan(ctx context.Context, request Request, destroy bool) ([]Step, error)
	// Apply makes what is missing, in order, and returns every part as it is then.
	// A part that is not ready yet is not an error: call again.
	Apply(ctx context.Context, request Request) ([]Part, error)
	// Destroy takes parts away in the reverse order, each only when those after it
	// are gone, and returns what is left; nothing left means done.
	Destroy(ctx context.Context, request Request) ([]Part, error)
}
