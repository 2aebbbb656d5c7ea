package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/runway-platform/runway/coordinator/client"
	"github.com/runway-platform/runway/ingress"
	"github.com/runway-platform/runway/ingress/dns"
	"github.com/runway-platform/runway/ingress/handover"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// ingressSettings are the flags of an ingress.
type ingressSettings struct {
	member         member
	ingress        ingress.Config
	facts          runwayv1.IngressFacts
	dns            string
	upstreams      []string
	trustedProxies []string
	sockets        *handover.Sockets // nil outside of run
}

func ingressCommand() *cobra.Command {
	s := &ingressSettings{}
	cmd := &cobra.Command{
		Use:     "ingress",
		Short:   "Receive requests and answer DNS",
		Example: "  runway ingress --coordinator 10.0.0.1:7443 --join-token-file token --public-address 203.0.113.7",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.run(cmd.Context())
		},
	}
	flags := cmd.Flags()
	s.member.bind(cmd, "/var/lib/runway/ingress")
	flags.StringVar(&s.ingress.Name, "name", "ingress", "name of the ingress, unique in the cluster")
	flags.StringSliceVar(&s.ingress.HTTP, "http", []string{":80"}, "public HTTP listeners; they redirect to HTTPS")
	flags.StringSliceVar(&s.ingress.HTTPS, "https", []string{":443"}, "public HTTPS listeners")
	flags.StringSliceVar(&s.ingress.InternalHTTP, "internal-http", nil, "listeners for replicas")
	flags.StringVar(&s.dns, "dns", "0.0.0.0:53", "public DNS listener, IP:PORT; empty for none")
	flags.StringVar(&s.facts.InternalDns, "internal-dns", "", "DNS listener for replicas, IP:PORT")
	flags.StringSliceVar(&s.facts.PublicAddresses, "public-address", nil, "addresses published in DNS")
	flags.StringVar(&s.facts.SourceAddress, "source-address", "", "address that its requests to nodes come from")
	flags.StringVar(&s.facts.Region, "region", "local", "region of the ingress")
	flags.StringSliceVar(&s.upstreams, "dns-upstream", nil, "resolvers for other names (default: those of /etc/resolv.conf)")
	flags.StringSliceVar(&s.trustedProxies, "trusted-proxies", nil, "networks whose X-Forwarded headers are believed")
	flags.DurationVar(&s.ingress.DrainTimeout, "drain-timeout", ingress.DefaultDrainTimeout, "time for requests in flight at a stop")
	flags.StringVar(&s.ingress.Metrics, "metrics", "127.0.0.1:9466", "address of /metrics")
	fromFileAndEnvironment(cmd)
	return cmd
}

func (s *ingressSettings) run(ctx context.Context) error {
	log := newLogger()
	identity, conn, err := s.member.join(ctx, log)
	if err != nil {
		return err
	}
	defer conn.Close()
	if s.sockets, err = handover.Open(s.member.dataDir, log); err != nil {
		return err
	}
	config, err := s.config(conn, log)
	if err != nil {
		return err
	}
	if config.Nodes, err = identity.PeerTLS(runwayv1.Role_ROLE_NODE); err != nil {
		return err
	}
	process, err := ingress.New(config)
	if err != nil {
		return err
	}
	companions, err := s.companions(process, log)
	if err != nil {
		return err
	}
	s.sockets.Settle()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return client.NewRenewer(identity, conn, log).Run(ctx) })
	group.Go(func() error {
		defer cancel() // it also ends when a successor serves
		return process.Run(ctx, companions...)
	})
	return group.Wait()
}

// config completes what the flags gave with what is made from them.
func (s *ingressSettings) config(conn grpc.ClientConnInterface, log *slog.Logger) (ingress.Config, error) {
	s.ingress.Registry, s.ingress.Profiles = newObserved().registry, profiles()
	c := s.ingress
	c.DataDir, c.Coordinator, c.Log = s.member.dataDir, conn, log
	if s.sockets != nil {
		c.Sockets, c.Listen = s.sockets, s.sockets.Listen
	}
	c.Facts = &s.facts
	c.Facts.Version = version
	c.Facts.HttpPort, c.Facts.HttpsPort = portOf(c.HTTP), portOf(c.HTTPS)
	if len(c.InternalHTTP) > 0 {
		c.Facts.InternalHttp = c.InternalHTTP[0]
	}
	for _, text := range s.trustedProxies {
		network, err := netip.ParsePrefix(text)
		if err != nil {
			return c, fmt.Errorf("trusted-proxies: %w", err)
		}
		c.TrustedProxies = append(c.TrustedProxies, network)
	}
	return c, nil
}

// companions returns the DNS server, if one is wanted. It answers from the routes that
// the ingress has in use.
func (s *ingressSettings) companions(i *ingress.Ingress, log *slog.Logger) ([]ingress.Companion, error) {
	if s.dns == "" && s.facts.GetInternalDns() == "" {
		return nil, nil
	}
	config := dns.Config{
		Public:     addresses(s.dns),
		Internal:   addresses(s.facts.GetInternalDns()),
		Upstreams:  s.upstreams,
		Source:     dns.Follow(i.Routes, log),
		Registerer: s.ingress.Registry,
		Log:        log,
	}
	if s.sockets != nil {
		config.Listen, config.ListenPacket = s.sockets.Listen, s.sockets.ListenPacket
	}
	server, err := dns.New(config)
	if err != nil {
		return nil, err
	}
	return []ingress.Companion{server.Run}, nil
}

// addresses is a list of one, or of none when it is empty.
func addresses(one string) []string {
	if one == "" {
		return nil
	}
	return []string{one}
}

// portOf returns the port of the first address, 0 when there is none.
func portOf(addresses []string) uint32 {
	if len(addresses) == 0 {
		return 0
	}
	_, text, err := net.SplitHostPort(addresses[0])
	if err != nil {
		return 0
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return 0
	}
	return uint32(port)
}
