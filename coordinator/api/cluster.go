package api

import (
	"context"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// clusterService tells about the cluster itself.
type clusterService struct {
	runwayv1.UnimplementedClusterAPIServer
	*API
}

// runwayv1.ClusterAPIServer

func (s clusterService) Info(context.Context, *runwayv1.InfoRequest) (*runwayv1.InfoResponse, error) {
	view := s.view()
	members, err := s.config.Members()
	if err != nil {
		return nil, err
	}
	leader, _ := s.config.Leader()
	cluster := view.Cluster()
	return &runwayv1.InfoResponse{
		Cluster:  cluster.GetId(),
		Domain:   cluster.GetDomain(),
		Version:  s.config.Version,
		Leader:   leader,
		Members:  members,
		Registry: cluster.GetRegistry(),
		Index:    view.Index(),
		Regions:  cluster.GetRegions(),
		Now:      timestamppb.Now(),
	}, nil
}
