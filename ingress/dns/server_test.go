package dns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coredns/coredns/plugin/pkg/dnstest"
	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// patience bounds every wait of these tests.
const patience = 10 * time.Second

var transports = []string{"udp", "tcp"}

func testConfig(t testing.TB, from Source) Config {
	return Config{
		Public:     []string{"127.0.0.1:0"},
		Internal:   []string{"127.0.0.1:0"},
		ResolvConf: filepath.Join(t.TempDir(), "absent"),
		Source:     from,
		Registerer: prometheus.NewRegistry(),
		Log:        testLog(t),
	}
}

// start runs a server until the test ends and checks that it ends well.
func start(t testing.TB, cfg Config) (public, internal string) {
	t.Helper()
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("run: %v", err)
			}
		case <-time.After(patience):
			t.Error("the server did not end")
		}
	})
	bound := s.Addresses()
	return bound.Public[0].String(), bound.Internal[0].String()
}

func exchange(t testing.TB, network, server string, req *dns.Msg) *dns.Msg {
	t.Helper()
	client := dns.Client{Net: network, Timeout: patience, UDPSize: dns.MaxMsgSize - 1}
	got, _, err := client.Exchange(req, server)
	if err != nil {
		t.Fatalf("ask %s over %s for %s: %v", server, network, req.Question[0].String(), err)
	}
	return got
}

// upstream is a resolver that answers each name with one address.
func upstream(t testing.TB) string {
	t.Helper()
	s := dnstest.NewMultipleServer(func(w dns.ResponseWriter, req *dns.Msg) {
		m := new(dns.Msg).SetReply(req)
		m.Answer = []dns.RR{&dns.A{Hdr: header(req.Question[0].Name, dns.TypeA), A: net.IPv4(203, 0, 113, 9)}}
		if err := w.WriteMsg(m); err != nil {
			t.Errorf("answer of the upstream: %v", err)
		}
	})
	t.Cleanup(s.Close)
	return s.Addr
}

func TestServer_AnswersOverBothNetworksOnBothListeners(t *testing.T) {
	set := example()
	set.Networks = set.Networks[:1]
	cfg := testConfig(t, newSource(set))
	cfg.Upstreams = []string{upstream(t)}
	public, internal := start(t, cfg)
	for _, network := range transports {
		for _, tt := range []struct {
			server, name string
			rcode        int
			want         []string
		}{
			{public, "api.staging.pay.runway.localhost.", 0, []string{"api.staging.pay.runway.localhost. 5 IN A 192.0.2.1", "api.staging.pay.runway.localhost. 5 IN A 192.0.2.2"}},
			{public, "hello.default.internal.", dns.RcodeRefused, nil},
			{public, "example.com.", dns.RcodeRefused, nil},
			{public, "x.default.runway.localhost.", dns.RcodeNameError, nil},
			{internal, "api.staging.pay.runway.localhost.", 0, []string{"api.staging.pay.runway.localhost. 5 IN A 192.0.2.1", "api.staging.pay.runway.localhost. 5 IN A 192.0.2.2"}},
			{internal, "HeLLo.default.internal.", 0, []string{"HeLLo.default.internal. 5 IN A 10.88.1.1"}},
			{internal, "x.default.internal.", dns.RcodeNameError, nil},
			{internal, "example.com.", 0, []string{"example.com. 5 IN A 203.0.113.9"}},
		} {
			got := exchange(t, network, tt.server, question(tt.name, dns.TypeA))
			if got.Rcode != tt.rcode {
				t.Errorf("%s %s: got %s", network, tt.name, dns.RcodeToString[got.Rcode])
			}
			if diff := cmp.Diff(tt.want, text(got.Answer)); diff != "" {
				t.Errorf("%s %s (-want +got):\n%s", network, tt.name, diff)
			}
		}
	}
}

func TestServer_RefusesWhatIsNoPlainQuestion(t *testing.T) {
	public, internal := start(t, testConfig(t, newSource(example())))
	for _, tt := range []struct {
		name string
		edit func(*dns.Msg)
		want int
	}{
		{"no question", func(m *dns.Msg) { m.Question = nil }, dns.RcodeFormatError},
		{"two questions", func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }, dns.RcodeFormatError},
		{"UPDATE", func(m *dns.Msg) { m.Opcode = dns.OpcodeUpdate }, dns.RcodeNotImplemented},
		{"NOTIFY", func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify }, dns.RcodeNotImplemented},
		{"class CHAOS", func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }, dns.RcodeRefused},
		{"AXFR", func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeAXFR }, dns.RcodeRefused},
		{"IXFR", func(m *dns.Msg) { m.SetIxfr("runway.localhost.", 1, "ns1.runway.localhost.", "x.") }, dns.RcodeRefused},
		{"EDNS version 1", func(m *dns.Msg) { m.SetEdns0(1232, false); m.IsEdns0().SetVersion(1) }, dns.RcodeBadVers},
	} {
		for _, network := range transports {
			for _, server := range []string{public, internal} {
				req := question("runway.localhost.", dns.TypeSOA)
				tt.edit(req)
				if got := rawExchange(t, network, server, req); got.Rcode != tt.want {
					t.Errorf("%s over %s: got %s, want %s", tt.name, network, dns.RcodeToString[got.Rcode], dns.RcodeToString[tt.want])
				}
			}
		}
	}
}

// rawExchange takes any answer, even one that does not repeat the question.
func rawExchange(t *testing.T, network, server string, req *dns.Msg) *dns.Msg {
	t.Helper()
	conn, err := dns.DialTimeout(network, server, patience)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // nothing was written since the answer
	conn.UDPSize = dns.MaxMsgSize - 1
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if err := conn.WriteMsg(req); err != nil {
		t.Fatal(err)
	}
	got, err := conn.ReadMsg()
	if err != nil {
		t.Fatalf("read answer over %s: %v", network, err)
	}
	return got
}

func TestServer_UDPAnswersAreSmall(t *testing.T) {
	set := example()
	for n := range 200 {
		set.Ingresses = append(set.Ingresses, &runwayv1.IngressRecord{
			Name: fmt.Sprint(n), PublicAddresses: []string{netip.AddrFrom4([4]byte{192, 0, 2, byte(n + 3)}).String()},
		})
	}
	public, _ := start(t, testConfig(t, newSource(set)))
	for _, tt := range []struct {
		edns uint16
		most int
	}{{0, dns.MinMsgSize}, {100, dns.MinMsgSize}, {1000, 1000}, {4096, maxUDPAnswer}, {65535, maxUDPAnswer}} {
		req := question("hello.default.runway.localhost.", dns.TypeA)
		if tt.edns > 0 {
			req.SetEdns0(tt.edns, false)
		}
		got := exchange(t, "udp", public, req)
		got.Compress = true
		if size := got.Len(); size > tt.most || !got.Truncated || len(got.Answer) == 0 {
			t.Errorf("EDNS %d: got %d bytes, %d answers, truncated %v; want at most %d bytes, truncated",
				tt.edns, size, len(got.Answer), got.Truncated, tt.most)
		}
	}
	got := exchange(t, "tcp", public, question("hello.default.runway.localhost.", dns.TypeA))
	if len(got.Answer) != 202 || got.Truncated {
		t.Errorf("over TCP: got %d answers, truncated %v; want all 202", len(got.Answer), got.Truncated)
	}
}

func TestServer_AnyDoesNotAmplify(t *testing.T) {
	public, _ := start(t, testConfig(t, newSource(example())))
	req := question("hello.default.runway.localhost.", dns.TypeANY)
	got := exchange(t, "udp", public, req)
	got.Compress = true
	if got.Len() > 2*req.Len() {
		t.Errorf("answered %d bytes to %d", got.Len(), req.Len())
	}
}

// A flood costs answers, not memory: what is begun with stays bounded, and the
// server answers as soon as it is over.
func TestServer_OutlivesAFlood(t *testing.T) {
	const questions, senders = 30000, 2
	public, _ := start(t, testConfig(t, newSource(example())))
	packed, err := question("hello.default.runway.localhost.", dns.TypeA).Pack()
	if err != nil {
		t.Fatal(err)
	}
	before, peak := runtime.NumGoroutine(), 0
	var flood sync.WaitGroup
	for range senders {
		flood.Go(func() {
			conn, err := net.Dial("udp", public)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close() //nolint:errcheck // answers are not read
			for range questions / senders {
				if _, err := conn.Write(packed); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	over := make(chan struct{})
	go func() { flood.Wait(); close(over) }()
	for ended := false; !ended; {
		peak = max(peak, runtime.NumGoroutine())
		select {
		case <-over:
			ended = true
		default:
			runtime.Gosched()
		}
	}
	t.Logf("%d goroutines before, %d at most", before, peak)
	if peak > questions/10 {
		t.Errorf("%d goroutines at a time for %d questions", peak, questions)
	}
	if err := askAgain(public); err != nil {
		t.Errorf("after the flood: %v", err)
	}
}

// askAgain asks as a resolver does: a question may have been dropped behind the
// last ones of the flood.
func askAgain(server string) error {
	client := dns.Client{Timeout: 200 * time.Millisecond}
	deadline := time.Now().Add(patience)
	for {
		got, _, err := client.Exchange(question("hello.default.runway.localhost.", dns.TypeA), server)
		if err == nil && len(got.Answer) == 2 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("got %v: %w", got, err)
		}
	}
}

func TestServer_FailsWithoutRecordsThenAnswers(t *testing.T) {
	from := new(source)
	cfg := testConfig(t, from)
	cfg.Upstreams = []string{upstream(t)}
	public, internal := start(t, cfg)
	for _, network := range transports {
		for server, name := range map[string]string{public: "hello.default.runway.localhost.", internal: "example.com."} {
			if got := exchange(t, network, server, question(name, dns.TypeA)); got.Rcode != dns.RcodeServerFailure {
				t.Errorf("%s: got %s, want SERVFAIL", name, dns.RcodeToString[got.Rcode])
			}
		}
	}
	from.records.Store(Build(example()))
	if got := exchange(t, "udp", public, question("hello.default.runway.localhost.", dns.TypeA)); len(got.Answer) != 2 {
		t.Errorf("with records: got %v", got)
	}
}

func TestServer_AnswersServfailWhenUpstreamIsGone(t *testing.T) {
	set := example()
	cfg := testConfig(t, newSource(set))
	gone, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Upstreams = []string{gone.LocalAddr().String()}
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}
	_, internal := start(t, cfg)
	if got := exchange(t, "udp", internal, question("example.com.", dns.TypeA)); got.Rcode != dns.RcodeServerFailure {
		t.Errorf("other name: got %s, want SERVFAIL", dns.RcodeToString[got.Rcode])
	}
	if got := exchange(t, "udp", internal, question("api.staging.pay.runway.localhost.", dns.TypeAAAA)); len(got.Answer) != 1 {
		t.Errorf("own name: got %v", got)
	}
}

// While records are swapped, every answer is right for one of the sets, and once a
// set is in use no older one is answered from.
func TestServer_RecordsAreSwappedUnderLoad(t *testing.T) {
	const generations = 200
	set := func(generation uint64) *runwayv1.RouteSet {
		s := example()
		s.Generation = generation
		return s
	}
	from := newSource(set(1))
	public, _ := start(t, testConfig(t, from))
	var clients sync.WaitGroup
	for n := range 4 {
		clients.Go(func() {
			client := dns.Client{Net: transports[n%2], Timeout: patience}
			for {
				atLeast := from.Records().generation
				got, _, err := client.Exchange(question("runway.localhost.", dns.TypeSOA), public)
				if err != nil || len(got.Answer) != 1 {
					t.Errorf("ask over %s: %v, %v", client.Net, got, err)
					return
				}
				if serial := uint64(got.Answer[0].(*dns.SOA).Serial); serial < atLeast {
					t.Errorf("got serial %d while %d was in use", serial, atLeast)
					return
				}
				if atLeast == generations {
					return
				}
			}
		})
	}
	for generation := range uint64(generations) {
		from.records.Store(Build(set(generation + 1)))
	}
	clients.Wait()
}

func TestServer_EndsWithTheReasonWhenASocketBreaks(t *testing.T) {
	cfg := testConfig(t, newSource(example()))
	var broken net.PacketConn
	cfg.ListenPacket = func(network, address string) (net.PacketConn, error) {
		p, err := net.ListenPacket(network, address)
		broken = p
		return p, err
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Run(context.Background()) }()
	exchange(t, "udp", s.Addresses().Internal[0].String(), question("internal.", dns.TypeSOA))
	if err := broken.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if !errors.Is(err, net.ErrClosed) || !strings.Contains(err.Error(), "serve DNS on udp") {
			t.Errorf("got %v, want the closed UDP socket", err)
		}
	case <-time.After(patience):
		t.Fatal("the server went on")
	}
}

func TestServer_StoppedBeforeItBegan(t *testing.T) {
	s, err := New(testConfig(t, newSource(example())))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Run(ctx); err != nil {
		t.Errorf("run: %v", err)
	}
}

func TestNew_TakenPortIsNotShared(t *testing.T) {
	for _, network := range transports {
		taken, address := occupy(t, network)
		cfg := testConfig(t, newSource(example()))
		cfg.Public = []string{address}
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), "in use") {
			t.Errorf("%s taken: got %v", network, err)
		}
		if err := taken.Close(); err != nil {
			t.Error(err)
		}
	}
}

func occupy(t *testing.T, network string) (interface{ Close() error }, string) {
	t.Helper()
	if network == "tcp" {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return l, l.Addr().String()
	}
	p, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return p, p.LocalAddr().String()
}

func TestNew_ClosesItsSocketsOnFailure(t *testing.T) {
	taken, address := occupy(t, "udp")
	defer taken.Close() //nolint:errcheck // a test socket
	var opened []net.PacketConn
	cfg := testConfig(t, newSource(example()))
	cfg.Internal = []string{address}
	cfg.ListenPacket = func(network, address string) (net.PacketConn, error) {
		p, err := net.ListenPacket(network, address)
		if err == nil {
			opened = append(opened, p)
		}
		return p, err
	}
	if _, err := New(cfg); err == nil {
		t.Fatal("no error")
	}
	for _, p := range opened {
		if err := p.SetDeadline(time.Time{}); !errors.Is(err, net.ErrClosed) {
			t.Errorf("socket %s was left open", p.LocalAddr())
		}
	}
}

func TestServer_CountsRequests(t *testing.T) {
	cfg := testConfig(t, newSource(example()))
	registry := prometheus.NewRegistry()
	cfg.Registerer = registry
	public, _ := start(t, cfg)
	exchange(t, "tcp", public, question("hello.default.runway.localhost.", dns.TypeA))
	const want = `
		# HELP runway_dns_requests_total Questions answered, by zone, code of the answer and type asked for.
		# TYPE runway_dns_requests_total counter
		runway_dns_requests_total{rcode="NOERROR",type="A",zone="public"} 1
	`
	// The answer is on its way before it is counted.
	deadline := time.Now().Add(patience)
	for {
		err := testutil.GatherAndCompare(registry, strings.NewReader(want), "runway_dns_requests_total")
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func TestConfig_Validate(t *testing.T) {
	t.Parallel()
	err := Config{
		Public: []string{"53", "localhost:53"}, Upstreams: []string{"nobody", "fe80::1%eth0"},
	}.Validate()
	for _, want := range []string{
		`"53"`, `"localhost:53"`, `upstream "nobody"`, "zone are not supported", "source", "registerer", "logger",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want a problem with %s", err, want)
		}
	}
	if err := testConfig(t, new(source)).Validate(); err != nil {
		t.Errorf("good configuration: %v", err)
	}
	if err := (Config{}).Validate(); err == nil || !strings.Contains(err.Error(), "no address") {
		t.Errorf("without addresses: got %v", err)
	}
}

func TestConfig_UpstreamsOfTheMachine(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "resolv.conf")
	const lines = "nameserver 192.0.2.53\nnameserver fe80::1%eth0\nnameserver 127.0.0.1\nnameserver 2001:db8::53\n"
	if err := os.WriteFile(path, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	bound := []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:53")}
	for _, tt := range []struct {
		name string
		cfg  Config
		want []string
	}{
		{"resolv.conf without ourselves", Config{ResolvConf: path}, []string{"192.0.2.53:53", "[2001:db8::53]:53"}},
		{"configured ones instead", Config{ResolvConf: path, Upstreams: []string{"198.51.100.1:5353", "127.0.0.1:5353"}},
			[]string{"198.51.100.1:5353", "127.0.0.1:5353"}},
		{"no file", Config{ResolvConf: path + ".absent"}, nil},
	} {
		tt.cfg.Log = testLog(t)
		upstreams, err := tt.cfg.upstreams(bound)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		var got []string
		for _, u := range upstreams {
			got = append(got, u.String())
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
	if _, err := (Config{ResolvConf: filepath.Join(path, "x"), Log: testLog(t)}).upstreams(nil); err == nil {
		t.Error("an unreadable file is no error")
	}
}
