package api

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/runway-platform/runway/coordinator/identity"
	"github.com/runway-platform/runway/coordinator/names"
	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

const (
	// joinLife is how long a join token may wait: as long as it takes to start a
	// machine.
	joinLife, maxJoinLife = 15 * time.Minute, 24 * time.Hour
	maxJoinUses           = 100
)

// nodeService is about machines.
type nodeService struct {
	runwayv1.UnimplementedNodesServer
	*API
}

// runwayv1.NodesServer

func (s nodeService) ListNodes(context.Context, *runwayv1.ListNodesRequest) (*runwayv1.ListNodesResponse, error) {
	view := s.view()
	answer := &runwayv1.ListNodesResponse{Index: view.Index()}
	for _, n := range view.Nodes() {
		answer.Nodes = append(answer.Nodes, s.nodeView(view, n))
	}
	return answer, nil
}

func (s nodeService) CreateJoinToken(ctx context.Context, request *runwayv1.CreateJoinTokenRequest) (*runwayv1.CreateJoinTokenResponse, error) {
	if machinePrefix[request.GetRole()] == "" {
		return nil, invalid(code.SpecInvalid, "join tokens are for nodes and ingresses, not %s", request.GetRole())
	}
	life, err := lifeOf(request.GetTtl(), joinLife, maxJoinLife)
	if err != nil {
		return nil, err
	}
	pool, err := poolOf(request)
	if err != nil {
		return nil, err
	}
	uses := max(request.GetUses(), 1)
	if uses > maxJoinUses {
		return nil, invalid(code.SpecInvalid, "%d uses; a join token has at most %d", uses, maxJoinUses)
	}
	authority, err := s.authority()
	if err != nil {
		return nil, err
	}
	token, err := authority.NewJoinToken(request.GetRole())
	if err != nil {
		return nil, err
	}
	expires := timestamppb.New(time.Now().Add(life))
	_, err = s.config.Applier.Apply(ctx, &runwayv1.PutJoinToken{Token: &runwayv1.JoinToken{
		Id: newID("j-"), Hash: identity.Hash(token.Text()), Role: request.GetRole(), Pool: pool,
		UsesLeft: uses, ExpiresAt: expires,
	}})
	if err != nil {
		return nil, err
	}
	return &runwayv1.CreateJoinTokenResponse{Token: token.Text(), ExpiresAt: expires}, nil
}

// poolOf returns the pool that a token binds its machines to: nodes are always in one.
func poolOf(request *runwayv1.CreateJoinTokenRequest) (string, error) {
	switch pool := request.GetPool(); {
	case request.GetRole() != node && pool != "":
		return "", invalid(code.SpecInvalid, "pools are of nodes, not of %s", request.GetRole())
	case request.GetRole() != node:
		return "", nil
	case pool == "":
		return names.DefaultPool, nil
	default:
		if err := names.Check("pool", pool); err != nil {
			return "", invalid(code.NameInvalid, "%v", err)
		}
		return pool, nil
	}
}

func (s nodeService) nodeView(view *state.View, n *runwayv1.Node) *runwayv1.NodeView {
	answer := &runwayv1.NodeView{Node: n, LastBeat: timestamppb.New(s.config.LastBeat(n.GetId()))}
	for _, r := range view.ReplicasOn(n.GetId()) {
		if r.GetStatus().GetPhase() == runwayv1.ReplicaPhase_REPLICA_PHASE_STOPPED {
			continue
		}
		resources := view.Revision(state.IDOf(r.GetWorkload()), r.GetRevision()).GetSpec().GetResources()
		answer.Replicas++
		answer.ReservedCpuMilli += resources.GetCpuRequestMilli()
		answer.ReservedMemoryBytes += resources.GetMemoryBytes()
		answer.ReservedDiskBytes += resources.GetDiskBytes()
	}
	return answer
}

// lifeOf is how long a token lives: the default when nothing is asked.
func lifeOf(asked *durationpb.Duration, usual, most time.Duration) (time.Duration, error) {
	if asked == nil {
		return usual, nil
	}
	if !asked.IsValid() || asked.AsDuration() <= 0 || asked.AsDuration() > most {
		return 0, invalid(code.SpecInvalid, "the life of a token must be between 0 and %s", most)
	}
	return asked.AsDuration(), nil
}
