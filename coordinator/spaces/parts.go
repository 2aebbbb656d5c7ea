package spaces

import (
	"context"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/loop"
	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
	"github.com/runway-platform/runway/provisioning/space"
)

// parts returns what a space of this cluster is made of, in the order in which it
// is made: who may act in it, then what they run in it. Services are destroyed
// first, while their owners can still see why.
func parts(views func() *state.View, applier loop.Applier) []space.Part {
	return []space.Part{
		&part{name: "tokens", views: views, applier: applier, contents: tokens},
		&part{name: "services", views: views, applier: applier, contents: services},
	}
}

// part is recorded in the space's status once it is made, and removed from there
// when it is empty.
type part struct {
	name    string
	views   func() *state.View
	applier loop.Applier
	// contents returns how many things of the space the part holds, and the
	// commands that remove those that nobody has asked to remove yet.
	contents func(view *state.View, space string) (held int, remove []proto.Message)
}

// space.Part

func (p *part) Name() string { return p.name }

func (p *part) Look(_ context.Context, name string) (bool, string, error) {
	view := p.views()
	held, _ := p.contents(view, name)
	recorded := slices.ContainsFunc(view.Space(name).GetStatus().GetParts(), p.is)
	return recorded, fmt.Sprintf("%d %s", held, p.name), nil
}

func (p *part) Make(ctx context.Context, name string) error {
	status := statusOf(p.views(), name)
	if slices.ContainsFunc(status.Parts, p.is) {
		return nil
	}
	status.Parts = append(status.Parts, &runwayv1.SpacePart{Name: p.name, Ready: true})
	return p.apply(ctx, &runwayv1.SetSpaceStatus{Name: name, Status: status})
}

func (p *part) Remove(ctx context.Context, name string) error {
	held, remove := p.contents(p.views(), name)
	for _, payload := range remove {
		if err := p.apply(ctx, payload); err != nil {
			return err
		}
	}
	if held > 0 {
		return nil
	}
	status := statusOf(p.views(), name)
	status.Parts = slices.DeleteFunc(status.Parts, p.is)
	return p.apply(ctx, &runwayv1.SetSpaceStatus{Name: name, Status: status})
}

func (p *part) is(recorded *runwayv1.SpacePart) bool { return recorded.GetName() == p.name }

func (p *part) apply(ctx context.Context, payload proto.Message) error {
	_, err := p.applier.Apply(ctx, payload)
	return err
}

func statusOf(view *state.View, name string) *runwayv1.SpaceStatus {
	status := proto.CloneOf(view.Space(name).GetStatus())
	if status == nil {
		status = &runwayv1.SpaceStatus{Phase: runwayv1.SpacePhase_SPACE_PHASE_PROVISIONING}
	}
	return status
}

func services(view *state.View, space string) (int, []proto.Message) {
	workloads := view.WorkloadsIn(space)
	var remove []proto.Message
	for _, w := range workloads {
		if !w.GetDelete() {
			remove = append(remove, &runwayv1.DeleteWorkload{Workload: w.GetKey(), By: "deletion of the space"})
		}
	}
	return len(workloads), remove
}

// tokens counts those that are good for this space and no other.
func tokens(view *state.View, space string) (int, []proto.Message) {
	var remove []proto.Message
	for _, t := range view.Tokens() {
		if len(t.GetSpaces()) == 1 && t.GetSpaces()[0] == space {
			remove = append(remove, &runwayv1.RevokeToken{Token: t.GetId()})
		}
	}
	return len(remove), remove
}
