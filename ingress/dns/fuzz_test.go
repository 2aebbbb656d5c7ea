package dns

import (
	"context"
	"net"
	"net/netip"
	"testing"

	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"
	"github.com/miekg/dns"

	"github.com/runway-platform/runway/ingress/route"
)

// wire is a writer that keeps the packed answer.
type wire struct {
	dns.ResponseWriter
	from   net.Addr
	answer []byte
	writes int
}

func (w *wire) RemoteAddr() net.Addr { return w.from }
func (w *wire) LocalAddr() net.Addr  { return w.from }

func (w *wire) WriteMsg(m *dns.Msg) error {
	w.writes++
	packed, err := m.Pack()
	w.answer = packed
	return err
}

// FuzzQuestion gives any bytes that parse as a message to the whole chain of both
// listeners. The same bytes are tried by the server itself, whose parser and
// acceptance rules are the library's.
func FuzzQuestion(f *testing.F) {
	for _, seed := range seeds(f) {
		f.Add(seed, byte(9))
		f.Add(seed, byte(5))
	}
	var servers []*dnsserver.Server
	for _, scope := range []route.Scope{route.Public, route.Internal} {
		i, err := newInstance(corefile(scope, netip.MustParseAddrPort("127.0.0.1:53"), nil), given(f))
		if err != nil {
			f.Fatal(err)
		}
		servers = append(servers, i.server.(*dnsserver.Server))
	}
	f.Fuzz(func(t *testing.T, data []byte, host byte) {
		for _, server := range servers {
			var req dns.Msg
			if req.Unpack(data) != nil || len(req.Question) != 1 {
				t.Skip()
			}
			w := &wire{from: &net.UDPAddr{IP: net.IPv4(10, 88, 1, host), Port: 4000}}
			server.ServeDNS(context.Background(), w, &req)
			checkAnswer(t, data, w)
		}
	})
}

// checkAnswer holds what is true of every answer over UDP.
func checkAnswer(t *testing.T, data []byte, w *wire) {
	t.Helper()
	var req, got dns.Msg
	if err := req.Unpack(data); err != nil {
		t.Fatal(err)
	}
	if w.writes != 1 {
		t.Fatalf("%d answers", w.writes)
	}
	if err := got.Unpack(w.answer); err != nil {
		t.Fatalf("answer does not parse: %v", err)
	}
	if got.Id != req.Id || !got.Response {
		t.Errorf("answer %d to question %d", got.Id, req.Id)
	}
	if len(got.Question) != 1 || got.Question[0] != req.Question[0] {
		t.Errorf("question %v came back as %v", req.Question, got.Question)
	}
	if len(w.answer) > maxUDPAnswer {
		t.Errorf("answer has %d bytes", len(w.answer))
	}
	if plugin.ClientWrite(got.Rcode) && got.Rcode != dns.RcodeBadVers && len(got.Answer)+len(got.Ns) == 0 {
		t.Errorf("%s says nothing: %v", dns.RcodeToString[got.Rcode], got.String())
	}
	for _, r := range got.Answer {
		if r.Header().Name != req.Question[0].Name {
			t.Errorf("record of %q to a question for %q", r.Header().Name, req.Question[0].Name)
		}
	}
}

// seeds are packed messages: plain ones, odd ones, and hostile ones.
func seeds(f *testing.F) [][]byte {
	f.Helper()
	var all [][]byte
	for _, name := range []string{"hello.default.runway.localhost.", "_http._tcp.hello.default.internal.", "runway.localhost.", "internal.", ".", "x.", `a\.b\000.internal.`, "version.bind."} {
		for _, qtype := range []uint16{dns.TypeA, dns.TypeSRV, dns.TypeANY, dns.TypeNS, dns.TypeDS, dns.TypeAXFR, dns.TypeOPT, 0} {
			req := question(name, qtype)
			req.SetEdns0(dns.MaxMsgSize-1, qtype == dns.TypeA)
			packed, err := req.Pack()
			if err != nil {
				f.Fatal(err)
			}
			all = append(all, packed)
		}
	}
	loop := []byte("\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\xc0\x0c\x00\x01\x00\x01")
	notify := []byte("\x00\x02\x20\x00\x00\x01\x00\x00\x00\x00\x00\x00\x08internal\x00\x00\x06\x00\x01")
	return append(all, loop, notify)
}
