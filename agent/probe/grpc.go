package probe

import (
	"context"
	"errors"
	"fmt"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// askGRPC opens a client for each question, as askHTTP does, so that a process which accepts no new connections is found.
func (p *Prober) askGRPC(ctx context.Context, spec Spec, address string, result *Result) (err error) {
	result.Asked = fmt.Sprintf("grpc health %q at %s", spec.Service, address)
	client, err := p.grpcClient(address)
	if err != nil {
		return fmt.Errorf("make client: %w", err)
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	answer, err := healthv1.NewHealthClient(client).Check(ctx, &healthv1.HealthCheckRequest{Service: spec.Service})
	if err != nil {
		return fmt.Errorf("%s: %s", status.Code(err), printable([]byte(status.Convert(err).Message())))
	}
	result.Status = answer.GetStatus().String()
	result.Passed = answer.GetStatus() == healthv1.HealthCheckResponse_SERVING
	return nil
}

func (p *Prober) grpcClient(address string) (*grpc.ClientConn, error) {
	return grpc.NewClient("passthrough:///"+address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) { return p.dial(ctx, "tcp", address) }),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(AnswerBytes)),
		grpc.WithMaxHeaderListSize(headerBytes),
		grpc.WithDisableServiceConfig(),
		grpc.WithDisableRetry(),
	)
}
