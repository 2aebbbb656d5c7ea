package dns

import (
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	coretest "github.com/coredns/coredns/plugin/test"
	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/pkg/dnstest"

	"github.com/runway-platform/runway/ingress/route"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// TestMain fails when a goroutine is left. CoreDNS's forward plugin leaves one per
// resolver to the finalizer of the resolver, so garbage is collected until they
// are gone: no leak is excused, but an unreachable server must end all of its own.
func TestMain(m *testing.M) {
	code := m.Run()
	deadline := time.Now().Add(patience)
	leaked := goleak.Find()
	for leaked != nil && time.Now().Before(deadline) {
		runtime.GC()
		leaked = goleak.Find()
	}
	if leaked != nil {
		fmt.Fprintln(os.Stderr, leaked)
		code = max(code, 1)
	}
	os.Exit(code)
}

// example is a set with two ingresses, two networks, and hello in both zones.
func example() *runwayv1.RouteSet {
	return &runwayv1.RouteSet{
		Incarnation: "i", Generation: 7, Full: true, Domain: "runway.localhost",
		Routes: []*runwayv1.Route{
			{
				Workload:      &runwayv1.WorkloadKey{Space: "default", Service: "hello", Environment: "production"},
				Hosts:         []string{"hello.default.runway.localhost"},
				InternalHosts: []string{"hello.default.internal"},
				Endpoints:     []*runwayv1.Endpoint{{Replica: "r1", Address: "10.0.0.1:20001", Revision: 1}},
			},
			{ // no endpoint is ready
				Workload:      &runwayv1.WorkloadKey{Space: "pay", Service: "api", Environment: "staging"},
				Hosts:         []string{"api.staging.pay.runway.localhost"},
				InternalHosts: []string{"api.staging.pay.internal"},
			},
		},
		Ingresses: []*runwayv1.IngressRecord{
			{Name: "a", PublicAddresses: []string{"192.0.2.1", "2001:db8::1"}, HttpsPort: 443},
			{Name: "b", PublicAddresses: []string{"192.0.2.2"}, HttpsPort: 8443},
		},
		Networks: []*runwayv1.NodeNetwork{
			{Node: "n1", NodeAddress: "10.0.0.1", Subnet: "10.88.1.0/24", Gateway: "10.88.1.1"},
			{Node: "n2", NodeAddress: "10.0.0.2", Subnet: "10.88.2.0/24", Gateway: "10.88.2.1"},
		},
	}
}

// source is a Source whose records a test swaps.
type source struct{ records atomic.Pointer[Records] }

func newSource(set *runwayv1.RouteSet) *source {
	s := new(source)
	s.records.Store(Build(set))
	return s
}

func (s *source) Records() *Records { return s.records.Load() }

func newTestHandler(t testing.TB, scope route.Scope, from Source, next plugin.Handler) *Runway {
	t.Helper()
	m, err := newMetrics(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return &Runway{Next: next, scope: scope, source: from, metrics: m}
}

func question(name string, qtype uint16) *dns.Msg {
	return new(dns.Msg).SetQuestion(name, qtype)
}

// ask gives a message to the handler and returns what a client would receive.
func ask(t testing.TB, h *Runway, from string, req *dns.Msg) *dns.Msg {
	t.Helper()
	if from == "" {
		from = "198.51.100.9"
	}
	w := dnstest.NewRecorder(&coretest.ResponseWriter{RemoteIP: from})
	rcode, err := h.ServeDNS(t.Context(), w, req)
	if err != nil {
		t.Fatalf("answer %s: %v", req.Question[0].String(), err)
	}
	if !plugin.ClientWrite(rcode) {
		if w.Msg != nil {
			t.Fatalf("answer %s: wrote a message and returned %s, which the server writes again", req.Question[0].String(), dns.RcodeToString[rcode])
		}
		return new(dns.Msg).SetRcode(req, rcode)
	}
	if w.Msg == nil {
		t.Fatalf("answer %s: nothing written", req.Question[0].String())
	}
	return w.Msg
}

func testLog(t testing.TB) *slog.Logger { return slog.New(slog.NewTextHandler(t.Output(), nil)) }

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }
