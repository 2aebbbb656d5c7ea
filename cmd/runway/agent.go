package main

import (
	"context"
	"log/slog"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/runway-platform/runway/agent"
	"github.com/runway-platform/runway/agent/identity"
	"github.com/runway-platform/runway/agent/runtime/containerd"
	"github.com/runway-platform/runway/coordinator/client"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

func agentCommand() *cobra.Command {
	settings := nodeSettings{}
	cmd := &cobra.Command{
		Use:     "agent",
		Short:   "Run the replicas that are assigned to this node",
		Example: "  runway agent --coordinator 10.0.0.1:7443 --join-token-file token --node-address 10.0.0.7 --subnet 10.64.7.0/24",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runAgent(cmd.Context(), settings)
		},
	}
	settings.bind(cmd)
	cmd.AddCommand(agentRemoveCommand())
	return cmd
}

func runAgent(ctx context.Context, s nodeSettings) error {
	observed, log := newObserved(), newLogger()
	machine, conn, err := s.member.join(ctx, log)
	if err != nil {
		return err
	}
	defer conn.Close()
	parts, err := s.open(ctx, log, observed.registry)
	if err != nil {
		return err
	}
	defer parts.runtime.Close()
	config := s.agent
	config.Version = version
	process, err := agent.New(config, parts.deps(conn, log))
	if err != nil {
		return err
	}
	answers, err := s.answers(machine, parts, log, observed.registry)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return observed.serve(ctx, s.metrics) })
	group.Go(func() error { return client.NewRenewer(machine, conn, log).Run(ctx) })
	group.Go(func() error { return answers.Run(ctx) })
	group.Go(func() error { return process.Run(ctx) })
	return group.Wait()
}

// answers tells ingresses which replica a node port leads to.
func (s *nodeSettings) answers(machine *client.Identity, parts *nodeParts, log *slog.Logger, registerer prometheus.Registerer) (*identity.Server, error) {
	ingresses, err := machine.PeerTLS(runwayv1.Role_ROLE_INGRESS)
	if err != nil {
		return nil, err
	}
	return identity.New(identity.Config{
		Address: s.agent.Identity, TLS: ingresses, Ports: parts.network, Registerer: registerer, Log: log,
	})
}

func agentRemoveCommand() *cobra.Command {
	settings := nodeSettings{}
	cmd := &cobra.Command{
		Use:   "remove",
		Short: "Stop all replicas of this node and remove what the agent made on the machine",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return removeAgent(cmd.Context(), settings)
		},
	}
	settings.bind(cmd)
	return cmd
}

// removeAgent opens the parts without an identity: the machine may have left the
// cluster.
func removeAgent(ctx context.Context, s nodeSettings) error {
	runtime, err := containerd.New(s.containerd)
	if err != nil {
		return err
	}
	defer runtime.Close()
	network, err := s.newNetwork(newLogger())
	if err != nil {
		return err
	}
	err = agent.Remove(ctx, runtime, network)
	_ = os.Remove(runDir) // stays while another node of the machine uses it
	return err
}
