package main

import (
	"crypto/tls"
	"log/slog"
	"net"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/runway-platform/runway/ingress"
)

// What is wrong with the DNS server is found before a request is served.
func TestIngress_DNSFailsBeforeServing(t *testing.T) {
	t.Parallel()
	taken, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	for _, test := range []struct {
		name, dns, upstream, want string
	}{
		{"upstream", "127.0.0.1:0", "not-an-address", "not-an-address"},
		{"taken", taken.LocalAddr().String(), "127.0.0.1", "in use"},
		{"right", "127.0.0.1:0", "127.0.0.1", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			log := slog.New(slog.DiscardHandler)
			s := &ingressSettings{dns: test.dns, upstreams: []string{test.upstream}}
			s.ingress = ingress.Config{Name: "edge", HTTPS: []string{"127.0.0.1:0"}, DrainTimeout: ingress.DefaultDrainTimeout, Nodes: &tls.Config{MinVersion: tls.VersionTLS13}}
			s.member.dataDir = t.TempDir()
			conn, err := grpc.NewClient("passthrough:///nowhere", grpc.WithTransportCredentials(insecure.NewCredentials()))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = conn.Close() })
			config, err := s.config(conn, log)
			if err != nil {
				t.Fatal(err)
			}
			process, err := ingress.New(config)
			if err != nil {
				t.Fatal(err)
			}
			companions, err := s.companions(process, log)
			switch {
			case test.want == "" && (err != nil || len(companions) != 1):
				t.Errorf("companions %d, %v", len(companions), err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("companions: %v, want %q", err, test.want)
			}
		})
	}
}
