package api

import (
	"context"
	"fmt"
	"slices"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/runway-platform/runway/coordinator/caller"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// machine is a node or an ingress.
type machine interface {
	comparable
	GetId() string
	GetName() string
}

// machineOf finds a machine by ID, or by a name that only one has.
func machineOf[M machine](kind, named string, all []M) (M, error) {
	var none M
	var found []M
	for _, m := range all {
		switch named {
		case m.GetId():
			return m, nil
		case m.GetName():
			found = append(found, m)
		}
	}
	switch len(found) {
	case 0:
		return none, refuse(notFoundStatus, code.SpecInvalid, "there is no %s %q", kind, cut(named))
	case 1:
		return found[0], nil
	default:
		return none, invalid(code.SpecInvalid, "%d machines are called %q; name the %s by its ID", len(found), cut(named), kind)
	}
}

// SetCordon is idempotent: what is so already is not written.
func (s nodeService) SetCordon(ctx context.Context, request *runwayv1.SetCordonRequest) (*runwayv1.SetCordonResponse, error) {
	n, err := machineOf("node", request.GetNode(), s.view().Nodes())
	if err != nil {
		return nil, err
	}
	if n.GetSpec().GetCordoned() == request.GetCordoned() {
		return &runwayv1.SetCordonResponse{Node: n}, nil
	}
	changed, err := apply[*runwayv1.Node](ctx, s.API, &runwayv1.SetNodeSpec{Node: n.GetId(), Spec: &runwayv1.NodeSpec{Cordoned: request.GetCordoned()}})
	return &runwayv1.SetCordonResponse{Node: changed}, err
}

// RemoveNode forgets a machine. One that is heard of and has replicas is refused
// unless it is forced: it would go on running them, and nobody would know.
func (s nodeService) RemoveNode(ctx context.Context, request *runwayv1.RemoveNodeRequest) (*runwayv1.RemoveNodeResponse, error) {
	view := s.view()
	if view.RemovedMachine(request.GetNode()) != nil {
		return &runwayv1.RemoveNodeResponse{}, nil // asked for again
	}
	n, err := machineOf("node", request.GetNode(), view.Nodes())
	if err != nil {
		return nil, err
	}
	running := slices.DeleteFunc(view.ReplicasOn(n.GetId()), over)
	if len(running) > 0 && n.GetStatus().GetPhase() != runwayv1.NodePhase_NODE_PHASE_DOWN && !request.GetForce() {
		return nil, refuse(conflictStatus, code.Conflict, "node %q is not down and has %d replicas; drain it, stop its agent and wait until it is down, or force it", n.GetName(), len(running))
	}
	if _, err := s.config.Applier.Apply(ctx, &runwayv1.RemoveNode{Node: n.GetId()}); err != nil {
		return nil, err
	}
	s.forget(ctx, "node", n.GetId(), n.GetName())
	return &runwayv1.RemoveNodeResponse{Replicas: uint32(len(running))}, nil //nolint:gosec // bounded by the state
}

// RemoveIngress forgets an ingress. A live one is refused unless it is forced: it would
// go on sending requests by routes that nobody keeps for it.
func (s nodeService) RemoveIngress(ctx context.Context, request *runwayv1.RemoveIngressRequest) (*runwayv1.RemoveIngressResponse, error) {
	view := s.view()
	if view.RemovedMachine(request.GetIngress()) != nil {
		return &runwayv1.RemoveIngressResponse{}, nil // asked for again
	}
	i, err := machineOf("ingress", request.GetIngress(), view.Ingresses())
	if err != nil {
		return nil, err
	}
	if i.GetStatus().GetPhase() == runwayv1.IngressPhase_INGRESS_PHASE_LIVE && !request.GetForce() {
		return nil, refuse(conflictStatus, code.Conflict, "ingress %q is live and gets requests; stop it and wait until it is lost, or force it", i.GetName())
	}
	if _, err := s.config.Applier.Apply(ctx, &runwayv1.RemoveIngress{Ingress: i.GetId()}); err != nil {
		return nil, err
	}
	s.forget(ctx, "ingress", i.GetId(), i.GetName())
	return &runwayv1.RemoveIngressResponse{}, nil
}

// forget drops what the leader remembers of a machine that was removed.
func (s nodeService) forget(ctx context.Context, kind, id, name string) {
	s.config.Forget(id)
	s.log.Info("machine removed", "kind", kind, "machine", id, "name", name, "by", caller.From(ctx).Name)
}

func (s nodeService) ListIngresses(context.Context, *runwayv1.ListIngressesRequest) (*runwayv1.ListIngressesResponse, error) {
	view := s.view()
	answer := &runwayv1.ListIngressesResponse{Index: view.Index(), Generation: s.config.Routes.Generation()}
	for _, i := range view.Ingresses() {
		standing := s.config.Routes.Standing(i.GetId())
		shown := &runwayv1.IngressView{
			Ingress: i, LastBeat: timestamppb.New(s.config.LastBeat(i.GetId())), Generation: standing.Generation, Saved: standing.Saved,
		}
		if !standing.Since.IsZero() {
			shown.OwesSince = timestamppb.New(standing.Since)
		}
		answer.Views = append(answer.Views, shown)
	}
	return answer, nil
}

// AcceptRoutes has an ingress take what it refuses, once, and records who wanted it.
func (s nodeService) AcceptRoutes(ctx context.Context, request *runwayv1.AcceptRoutesRequest) (*runwayv1.AcceptRoutesResponse, error) {
	i, err := machineOf("ingress", request.GetIngress(), s.view().Ingresses())
	if err != nil {
		return nil, err
	}
	if err := s.config.Sessions.AcceptRoutes(i.GetId(), request.GetGoing()); err != nil {
		return nil, err
	}
	_, err = s.config.Applier.Apply(ctx, &runwayv1.RecordEvents{Events: []*runwayv1.Event{{
		Kind: "routes.accepted", Ingress: i.GetId(),
		Message: fmt.Sprintf("%s has ingress %s take routes without %d that it has", caller.From(ctx).Name, i.GetName(), request.GetGoing()),
	}}})
	return &runwayv1.AcceptRoutesResponse{}, err
}
