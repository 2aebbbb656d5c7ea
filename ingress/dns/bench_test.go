package dns

import (
	"fmt"
	"testing"
	"time"

	coretest "github.com/coredns/coredns/plugin/test"
	"github.com/miekg/dns"

	"github.com/runway-platform/runway/ingress/route"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// large has 5,000 services and 1,000 nodes.
func large() *runwayv1.RouteSet {
	set := example()
	for n := range 5000 {
		set.Routes = append(set.Routes, &runwayv1.Route{
			Hosts:         []string{fmt.Sprintf("s%d.space%d.runway.localhost", n, n%100)},
			InternalHosts: []string{fmt.Sprintf("s%d.space%d.internal", n, n%100)},
		})
	}
	for n := range 1000 {
		set.Networks = append(set.Networks, &runwayv1.NodeNetwork{
			Node: fmt.Sprintf("m%d", n), NodeAddress: fmt.Sprintf("10.1.%d.%d", n/250, n%250),
			Subnet: fmt.Sprintf("10.%d.%d.0/24", 100+n/250, n%250), Gateway: fmt.Sprintf("10.%d.%d.1", 100+n/250, n%250),
		})
	}
	return set
}

func BenchmarkServeDNS(b *testing.B) {
	for _, tt := range []struct {
		name, asked string
		scope       route.Scope
	}{
		{"public", "s4000.space0.runway.localhost.", route.Public},
		{"denied", "nobody.space0.runway.localhost.", route.Public},
		{"internal", "s4000.space0.internal.", route.Internal},
	} {
		b.Run(tt.name, func(b *testing.B) {
			h := newTestHandler(b, tt.scope, newSource(large()), nil)
			w := &coretest.ResponseWriter{RemoteIP: "10.101.3.9"}
			req := question(tt.asked, dns.TypeA)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := h.ServeDNS(b.Context(), w, req); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkBuild(b *testing.B) {
	set := large()
	b.ReportAllocs()
	for b.Loop() {
		if Build(set) == nil {
			b.Fatal("no records")
		}
	}
}

// BenchmarkUDP is what one client with 16 questions in flight gets, its own cost
// included.
func BenchmarkUDP(b *testing.B) {
	public, _ := start(b, testConfig(b, newSource(large())))
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		conn, err := dns.DialTimeout("udp", public, patience)
		if err != nil {
			b.Error(err)
			return
		}
		defer conn.Close() //nolint:errcheck // a benchmark's socket
		client := dns.Client{Timeout: patience}
		for pb.Next() {
			if _, _, err := client.ExchangeWithConn(question("s4000.space0.runway.localhost.", dns.TypeA), conn); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/max(b.Elapsed(), time.Nanosecond).Seconds(), "questions/s")
}
