// Package space is the built-in provisioner of spaces: an ordered list of parts,
// each of which knows how to make, find and remove itself.
package space

import (
	"context"
	"fmt"

	"github.com/runway-platform/runway/provisioning"
)

// Part is one thing that every space has. All methods are idempotent.
type Part interface {
	// Name is a constant noun, such as tokens.
	Name() string
	// Look tells whether the part is there for the space, with a detail for
	// people, and changes nothing.
	Look(ctx context.Context, space string) (exists bool, detail string, err error)
	// Make makes it when it is missing.
	Make(ctx context.Context, space string) error
	// Remove begins or goes on to remove it; Look tells when it is gone.
	Remove(ctx context.Context, space string) error
}

// Provisioner makes spaces of parts.
type Provisioner struct{ parts []Part }

var _ provisioning.Provisioner = (*Provisioner)(nil)

// New returns a provisioner of spaces that consist of the parts, in the order in
// which they are made.
func New(parts ...Part) *Provisioner { return &Provisioner{parts: parts} }

// provisioning.Provisioner

// Plan implements provisioning.Provisioner.
func (p *Provisioner) Plan(ctx context.Context, request provisioning.Request, destroy bool) ([]provisioning.Step, error) {
	if err := check(request); err != nil {
		return nil, err
	}
	var steps []provisioning.Step
	for _, part := range p.ordered(destroy) {
		exists, detail, err := part.Look(ctx, request.Name)
		if err != nil {
			return nil, fmt.Errorf("look at %s of space %q: %w", part.Name(), request.Name, err)
		}
		if destroy && !exists {
			continue
		}
		steps = append(steps, provisioning.Step{Part: part.Name(), Action: action(exists, destroy), Detail: detail})
	}
	return steps, nil
}

// Apply implements provisioning.Provisioner.
func (p *Provisioner) Apply(ctx context.Context, request provisioning.Request) ([]provisioning.Part, error) {
	if err := check(request); err != nil {
		return nil, err
	}
	for _, part := range p.parts {
		if err := part.Make(ctx, request.Name); err != nil {
			return nil, fmt.Errorf("make %s of space %q: %w", part.Name(), request.Name, err)
		}
	}
	return p.look(ctx, request.Name, false)
}

// Destroy implements provisioning.Provisioner.
func (p *Provisioner) Destroy(ctx context.Context, request provisioning.Request) ([]provisioning.Part, error) {
	if err := check(request); err != nil {
		return nil, err
	}
	for _, part := range p.ordered(true) {
		exists, _, err := part.Look(ctx, request.Name)
		if err != nil {
			return nil, fmt.Errorf("look at %s of space %q: %w", part.Name(), request.Name, err)
		}
		if !exists {
			continue
		}
		if err := part.Remove(ctx, request.Name); err != nil {
			return nil, fmt.Errorf("remove %s of space %q: %w", part.Name(), request.Name, err)
		}
		break // the parts made before it may still be needed by what is left of it
	}
	return p.look(ctx, request.Name, true)
}

// look returns the parts of a space, or only those that are still there.
func (p *Provisioner) look(ctx context.Context, space string, present bool) ([]provisioning.Part, error) {
	var parts []provisioning.Part
	for _, part := range p.parts {
		exists, detail, err := part.Look(ctx, space)
		if err != nil {
			return nil, fmt.Errorf("look at %s of space %q: %w", part.Name(), space, err)
		}
		if exists || !present {
			parts = append(parts, provisioning.Part{Name: part.Name(), Ready: exists, Detail: detail})
		}
	}
	return parts, nil
}

func (p *Provisioner) ordered(destroy bool) []Part {
	if !destroy {
		return p.parts
	}
	reversed := make([]Part, 0, len(p.parts))
	for i := len(p.parts) - 1; i >= 0; i-- {
		reversed = append(reversed, p.parts[i])
	}
	return reversed
}

func check(request provisioning.Request) error {
	if request.Kind != provisioning.Space {
		return fmt.Errorf("%s %q: %w", request.Kind, request.Name, provisioning.ErrKind)
	}
	return nil
}

func action(exists, destroy bool) provisioning.Action {
	switch {
	case destroy:
		return provisioning.Destroy
	case exists:
		return provisioning.Keep
	default:
		return provisioning.Create
	}
}
