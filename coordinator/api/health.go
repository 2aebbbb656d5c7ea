package api

import (
	"context"
	"strings"
	"time"

	"google.golang.org/grpc"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/runway-platform/runway/proto/code"
)

// healthPoll is how late a watch tells of a change.
const healthPoll = 250 * time.Millisecond

// healthService says whether this coordinator is of use: as a whole, when it leads or
// knows who does; each service, when it would be answered here. A member whose disk
// failed knows no leader any more.
type healthService struct {
	healthv1.UnimplementedHealthServer
	*API
	services func() map[string]grpc.ServiceInfo
}

// healthv1.HealthServer

func (s healthService) Check(_ context.Context, request *healthv1.HealthCheckRequest) (*healthv1.HealthCheckResponse, error) {
	status, known := s.status(request.GetService())
	if !known {
		return nil, refuse(notFoundStatus, code.SpecInvalid, "there is no service %q", cut(request.GetService()))
	}
	return &healthv1.HealthCheckResponse{Status: status}, nil
}

func (s healthService) List(context.Context, *healthv1.HealthListRequest) (*healthv1.HealthListResponse, error) {
	answer := &healthv1.HealthListResponse{Statuses: map[string]*healthv1.HealthCheckResponse{}}
	for name := range s.services() {
		status, _ := s.status(name)
		answer.Statuses[name] = &healthv1.HealthCheckResponse{Status: status}
	}
	status, _ := s.status("")
	answer.Statuses[""] = &healthv1.HealthCheckResponse{Status: status}
	return answer, nil
}

// Watch sends the status, and each change of it. A service that is not known may yet
// come, says the contract of gRPC.
func (s healthService) Watch(request *healthv1.HealthCheckRequest, stream healthv1.Health_WatchServer) error {
	poll := time.NewTicker(healthPoll)
	defer poll.Stop()
	for sent := healthv1.HealthCheckResponse_UNKNOWN; ; {
		if status, _ := s.status(request.GetService()); status != sent {
			if err := stream.Send(&healthv1.HealthCheckResponse{Status: status}); err != nil {
				return err
			}
			sent = status
		}
		select {
		case <-poll.C:
		case <-stream.Context().Done():
			return ended(stream.Context())
		}
	}
}

func (s healthService) status(service string) (status healthv1.HealthCheckResponse_ServingStatus, known bool) {
	if _, known := s.services()[service]; !known && service != "" {
		return healthv1.HealthCheckResponse_SERVICE_UNKNOWN, false
	}
	leader, leads := s.config.Leader()
	if leads || answersAnywhere(service) && (service != "" || leader != "") {
		return healthv1.HealthCheckResponse_SERVING, true
	}
	return healthv1.HealthCheckResponse_NOT_SERVING, true
}

// answersAnywhere says whether a follower answers the methods of a service, which the
// table of rights knows. The empty name is the coordinator as a whole.
func answersAnywhere(service string) bool {
	for method, r := range rights {
		if strings.HasPrefix(method, "/"+service+"/") && !r.anywhere {
			return false
		}
	}
	return true
}
