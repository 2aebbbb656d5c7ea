package dns

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/coredns/coredns/plugin"
	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/runway-platform/runway/ingress/route"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

const (
	replica  = "10.88.1.5"
	stranger = "198.51.100.9"
	soa      = "5 IN SOA ns1.runway.localhost. hostmaster.runway.localhost. 7 60 10 86400 5"
	soaIn    = "5 IN SOA ns1.internal. hostmaster.internal. 7 60 10 86400 5"
)

// text returns records as sorted lines.
func text(records []dns.RR) []string {
	var lines []string
	for _, r := range records {
		lines = append(lines, strings.ReplaceAll(r.String(), "\t", " "))
	}
	slices.Sort(lines)
	return lines
}

func TestRunway_PublicListener(t *testing.T) {
	t.Parallel()
	denied := []string{"runway.localhost. " + soa}
	addresses := []string{"ns1.runway.localhost. 5 IN A 192.0.2.1", "ns1.runway.localhost. 5 IN A 192.0.2.2", "ns1.runway.localhost. 5 IN AAAA 2001:db8::1"}
	for _, tt := range []struct {
		name  string
		asked string
		qtype uint16
		rcode int
		want  []string
		auth  []string
		glue  []string
	}{
		{"A of all ingresses", "hello.default.runway.localhost.", dns.TypeA, 0,
			[]string{"hello.default.runway.localhost. 5 IN A 192.0.2.1", "hello.default.runway.localhost. 5 IN A 192.0.2.2"}, nil, nil},
		{"AAAA of those that have one", "hello.default.runway.localhost.", dns.TypeAAAA, 0,
			[]string{"hello.default.runway.localhost. 5 IN AAAA 2001:db8::1"}, nil, nil},
		{"case of the question is kept", "HeLLo.default.RUNWAY.localhost.", dns.TypeAAAA, 0,
			[]string{"HeLLo.default.RUNWAY.localhost. 5 IN AAAA 2001:db8::1"}, nil, nil},
		{"no endpoint is ready", "api.staging.pay.runway.localhost.", dns.TypeAAAA, 0,
			[]string{"api.staging.pay.runway.localhost. 5 IN AAAA 2001:db8::1"}, nil, nil},
		{"other type of a host", "hello.default.runway.localhost.", dns.TypeMX, 0, nil, denied, nil},
		{"empty non-terminal, space", "default.runway.localhost.", dns.TypeA, 0, nil, denied, nil},
		{"empty non-terminal, environment", "staging.pay.runway.localhost.", dns.TypeTXT, 0, nil, denied, nil},
		{"unknown service", "nobody.default.runway.localhost.", dns.TypeA, dns.RcodeNameError, nil, denied, nil},
		{"below a host", "x.hello.default.runway.localhost.", dns.TypeA, dns.RcodeNameError, nil, denied, nil},
		{"dot inside a label", `hello\.default.runway.localhost.`, dns.TypeA, dns.RcodeNameError, nil, denied, nil},
		{"apex A", "runway.localhost.", dns.TypeA, 0, nil, denied, nil},
		{"apex SOA", "runway.localhost.", dns.TypeSOA, 0, denied, nil, nil},
		{"apex NS", "runway.localhost.", dns.TypeNS, 0, []string{"runway.localhost. 5 IN NS ns1.runway.localhost."}, nil, addresses},
		{"apex TXT", "runway.localhost.", dns.TypeTXT, 0, []string{`runway.localhost. 5 IN TXT "generation=7"`}, nil, nil},
		{"name server", "ns1.runway.localhost.", dns.TypeA, 0, addresses[:2], nil, nil},
		{"SRV, one per port", "_https._tcp.hello.default.runway.localhost.", dns.TypeSRV, 0, []string{
			"_https._tcp.hello.default.runway.localhost. 5 IN SRV 0 0 443 hello.default.runway.localhost.",
			"_https._tcp.hello.default.runway.localhost. 5 IN SRV 0 0 8443 hello.default.runway.localhost."}, nil, nil},
		{"A of a service name", "_https._tcp.hello.default.runway.localhost.", dns.TypeA, 0, nil, denied, nil},
		{"empty non-terminal, _tcp", "_tcp.hello.default.runway.localhost.", dns.TypeSRV, 0, nil, denied, nil},
		{"SRV of another protocol", "_http._tcp.hello.default.runway.localhost.", dns.TypeSRV, dns.RcodeNameError, nil, denied, nil},
		{"SRV of a space", "_https._tcp.default.runway.localhost.", dns.TypeSRV, dns.RcodeNameError, nil, denied, nil},
		{"ANY of a host", "hello.default.runway.localhost.", dns.TypeANY, 0,
			[]string{`hello.default.runway.localhost. 5 IN HINFO "RFC8482" ""`}, nil, nil},
		{"ANY of an unknown name", "x.runway.localhost.", dns.TypeANY, dns.RcodeNameError, nil, denied, nil},
		{"internal zone", "hello.default.internal.", dns.TypeA, dns.RcodeRefused, nil, nil, nil},
		{"other name", "example.com.", dns.TypeA, dns.RcodeRefused, nil, nil, nil},
		{"root", ".", dns.TypeNS, dns.RcodeRefused, nil, nil, nil},
		{"parent of the domain", "localhost.", dns.TypeSOA, dns.RcodeRefused, nil, nil, nil},
		{"domain as the end of a label", "evilrunway.localhost.", dns.TypeA, dns.RcodeRefused, nil, nil, nil},
		{"domain behind an escaped dot", `evil\.runway.localhost.`, dns.TypeA, dns.RcodeRefused, nil, nil, nil},
		{"AXFR", "runway.localhost.", dns.TypeAXFR, dns.RcodeRefused, nil, nil, nil},
		{"IXFR", "runway.localhost.", dns.TypeIXFR, dns.RcodeRefused, nil, nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			// A next plugin would betray recursion.
			h := newTestHandler(t, route.Public, newSource(example()), nil)
			got := ask(t, h, replica, question(tt.asked, tt.qtype))
			compare(t, got, tt.rcode, tt.want, tt.auth)
			if diff := cmp.Diff(tt.glue, text(got.Extra)); diff != "" {
				t.Errorf("additional section (-want +got):\n%s", diff)
			}
			if got.RecursionAvailable {
				t.Error("the public listener offers recursion")
			}
		})
	}
}

func compare(t *testing.T, got *dns.Msg, rcode int, want, auth []string) {
	t.Helper()
	if got.Rcode != rcode {
		t.Errorf("got %s, want %s", dns.RcodeToString[got.Rcode], dns.RcodeToString[rcode])
	}
	if diff := cmp.Diff(want, text(got.Answer)); diff != "" {
		t.Errorf("answer section (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(auth, text(got.Ns)); diff != "" {
		t.Errorf("authority section (-want +got):\n%s", diff)
	}
	if spoken := rcode == 0 || rcode == dns.RcodeNameError; got.Authoritative != spoken {
		t.Errorf("authoritative: got %v, want %v", got.Authoritative, spoken)
	}
}

func TestRunway_InternalListener(t *testing.T) {
	t.Parallel()
	denied := []string{"internal. " + soaIn}
	gateway := func(g string) []string { return []string{"hello.default.internal. 5 IN A " + g} }
	for _, tt := range []struct {
		name, from, asked string
		qtype             uint16
		rcode             int
		want, auth        []string
	}{
		{"replica on the first node", replica, "hello.default.internal.", dns.TypeA, 0, gateway("10.88.1.1"), nil},
		{"replica on the second node", "10.88.2.200", "hello.default.internal.", dns.TypeA, 0, gateway("10.88.2.1"), nil},
		{"address mapped into IPv6", "::ffff:10.88.2.200", "hello.default.internal.", dns.TypeA, 0, gateway("10.88.2.1"), nil},
		{"masqueraded behind its node", "10.0.0.2", "hello.default.internal.", dns.TypeA, 0, gateway("10.88.2.1"), nil},
		{"loopback beside two networks", "127.0.0.1", "hello.default.internal.", dns.TypeA, 0, nil, denied},
		{"loopback, unknown name", "127.0.0.1", "x.default.internal.", dns.TypeA, dns.RcodeNameError, nil, denied},
		{"stranger, name that exists", stranger, "hello.default.internal.", dns.TypeA, 0, nil, denied},
		{"stranger, name that does not", stranger, "x.default.internal.", dns.TypeA, 0, nil, denied},
		{"stranger, SRV", stranger, "_http._tcp.hello.default.internal.", dns.TypeSRV, 0, nil, denied},
		{"AAAA of an IPv4 gateway", replica, "hello.default.internal.", dns.TypeAAAA, 0, nil, denied},
		{"no endpoint is ready", replica, "api.staging.pay.internal.", dns.TypeA, 0, []string{"api.staging.pay.internal. 5 IN A 10.88.1.1"}, nil},
		{"unknown service", replica, "nobody.default.internal.", dns.TypeA, dns.RcodeNameError, nil, denied},
		{"unknown space", replica, "hello.foreign.internal.", dns.TypeA, dns.RcodeNameError, nil, denied},
		{"empty non-terminal", replica, "default.internal.", dns.TypeA, 0, nil, denied},
		{"SRV", replica, "_http._tcp.hello.default.internal.", dns.TypeSRV, 0,
			[]string{"_http._tcp.hello.default.internal. 5 IN SRV 0 0 80 hello.default.internal."}, nil},
		{"ANY", replica, "hello.default.internal.", dns.TypeANY, 0, []string{`hello.default.internal. 5 IN HINFO "RFC8482" ""`}, nil},
		{"apex SOA", replica, "internal.", dns.TypeSOA, 0, denied, nil},
		{"apex NS", replica, "internal.", dns.TypeNS, 0, []string{"internal. 5 IN NS ns1.internal."}, nil},
		{"name server", replica, "ns1.internal.", dns.TypeA, 0, []string{"ns1.internal. 5 IN A 10.88.1.1"}, nil},
		{"public name", replica, "hello.default.runway.localhost.", dns.TypeAAAA, 0,
			[]string{"hello.default.runway.localhost. 5 IN AAAA 2001:db8::1"}, nil},
		{"public name for a stranger", stranger, "hello.default.runway.localhost.", dns.TypeAAAA, 0,
			[]string{"hello.default.runway.localhost. 5 IN AAAA 2001:db8::1"}, nil},
		{"AXFR", replica, "internal.", dns.TypeAXFR, dns.RcodeRefused, nil, nil},
		{"AXFR of another zone is not forwarded", replica, "example.com.", dns.TypeAXFR, dns.RcodeRefused, nil, nil},
		{"other name for a stranger", stranger, "example.com.", dns.TypeA, dns.RcodeRefused, nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newTestHandler(t, route.Internal, newSource(example()), forbidden(t))
			got := ask(t, h, tt.from, question(tt.asked, tt.qtype))
			compare(t, got, tt.rcode, tt.want, tt.auth)
			if plugin.ClientWrite(got.Rcode) && !got.RecursionAvailable {
				t.Error("recursion is not offered")
			}
		})
	}
}

// forbidden is a next plugin that no question may reach.
func forbidden(t *testing.T) plugin.Handler {
	return plugin.HandlerFunc(func(_ context.Context, _ dns.ResponseWriter, req *dns.Msg) (int, error) {
		t.Errorf("question %s was given to the next plugin", req.Question[0].String())
		return dns.RcodeServerFailure, nil
	})
}

func TestRunway_OtherNamesGoToNextPlugin(t *testing.T) {
	t.Parallel()
	next := plugin.HandlerFunc(func(_ context.Context, w dns.ResponseWriter, req *dns.Msg) (int, error) {
		m := new(dns.Msg).SetRcode(req, dns.RcodeNameError)
		return dns.RcodeSuccess, w.WriteMsg(m)
	})
	h := newTestHandler(t, route.Internal, newSource(example()), next)
	for _, from := range []string{replica, "10.0.0.1", "127.0.0.1", "::1"} {
		if got := ask(t, h, from, question("example.com.", dns.TypeA)); got.Rcode != dns.RcodeNameError {
			t.Errorf("from %s: got %s, want the answer of the next plugin", from, dns.RcodeToString[got.Rcode])
		}
	}
	got := ask(t, h, replica, question("example.com.", dns.TypeANY))
	if len(got.Answer) != 1 || got.Answer[0].Header().Rrtype != dns.TypeHINFO || got.Authoritative {
		t.Errorf("ANY of another name: got %v, want one HINFO without authority", got)
	}
}

func TestRunway_WithoutNextPluginOtherNamesAreRefused(t *testing.T) {
	t.Parallel()
	h := newTestHandler(t, route.Internal, newSource(example()), nil)
	got := ask(t, h, replica, question("example.com.", dns.TypeA))
	if got.Rcode != dns.RcodeRefused {
		t.Errorf("got %s, want REFUSED", dns.RcodeToString[got.Rcode])
	}
}

func TestRunway_LoopbackBesideOneNetwork(t *testing.T) {
	t.Parallel()
	set := example()
	set.Networks = set.Networks[1:]
	h := newTestHandler(t, route.Internal, newSource(set), nil)
	for _, from := range []string{"127.0.0.1", "::1"} {
		got := text(ask(t, h, from, question("hello.default.internal.", dns.TypeA)).Answer)
		if diff := cmp.Diff([]string{"hello.default.internal. 5 IN A 10.88.2.1"}, got); diff != "" {
			t.Errorf("from %s (-want +got):\n%s", from, diff)
		}
	}
}

// A resolver takes SERVFAIL to another server and keeps nothing; a denial would
// be kept and spread.
func TestRunway_WithoutRecordsNothingIsDenied(t *testing.T) {
	t.Parallel()
	for _, scope := range []route.Scope{route.Public, route.Internal} {
		h := newTestHandler(t, scope, newSource(&runwayv1.RouteSet{Full: true}), forbidden(t))
		for _, name := range []string{"hello.default.runway.localhost.", "x.internal.", "example.com.", "."} {
			for _, qtype := range []uint16{dns.TypeA, dns.TypeSOA, dns.TypeANY} {
				if got := ask(t, h, replica, question(name, qtype)); got.Rcode != dns.RcodeServerFailure {
					t.Errorf("%s %s: got %s, want SERVFAIL", name, dns.TypeToString[qtype], dns.RcodeToString[got.Rcode])
				}
			}
		}
		if h.Ready() {
			t.Error("ready without records")
		}
	}
}

func TestRunway_ReadyWithRecords(t *testing.T) {
	t.Parallel()
	if h := newTestHandler(t, route.Public, newSource(example()), nil); !h.Ready() {
		t.Error("not ready with records")
	}
}

func TestRunway_WithoutIngressNoEmptyAnswer(t *testing.T) {
	t.Parallel()
	set := example()
	set.Ingresses = nil
	h := newTestHandler(t, route.Public, newSource(set), nil)
	for name, want := range map[string]int{
		"hello.default.runway.localhost.": dns.RcodeServerFailure,
		"ns1.runway.localhost.":           dns.RcodeServerFailure,
		"x.default.runway.localhost.":     dns.RcodeNameError,
		"default.runway.localhost.":       dns.RcodeSuccess,
	} {
		if got := ask(t, h, "", question(name, dns.TypeA)); got.Rcode != want {
			t.Errorf("%s: got %s, want %s", name, dns.RcodeToString[got.Rcode], dns.RcodeToString[want])
		}
	}
}

func TestRunway_OnlyPlainQuestions(t *testing.T) {
	t.Parallel()
	for _, scope := range []route.Scope{route.Public, route.Internal} {
		h := newTestHandler(t, scope, newSource(example()), forbidden(t))
		for _, tt := range []struct {
			name string
			edit func(*dns.Msg)
			want int
		}{
			{"class CHAOS", func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }, dns.RcodeRefused},
			{"class ANY", func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassANY }, dns.RcodeRefused},
			{"NOTIFY", func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify }, dns.RcodeNotImplemented},
			{"UPDATE", func(m *dns.Msg) { m.Opcode = dns.OpcodeUpdate }, dns.RcodeNotImplemented},
		} {
			for _, name := range []string{"hello.default.runway.localhost.", "version.bind."} {
				req := question(name, dns.TypeTXT)
				tt.edit(req)
				if got := ask(t, h, replica, req); got.Rcode != tt.want {
					t.Errorf("%s for %s: got %s, want %s", tt.name, name, dns.RcodeToString[got.Rcode], dns.RcodeToString[tt.want])
				}
			}
		}
	}
}

// Every address is the first one about equally often.
func TestRunway_AnswersAreRotated(t *testing.T) {
	t.Parallel()
	h := newTestHandler(t, route.Public, newSource(example()), nil)
	first := map[string]int{}
	const questions = 400
	for range questions {
		got := ask(t, h, "", question("hello.default.runway.localhost.", dns.TypeA))
		first[got.Answer[0].(*dns.A).A.String()]++
	}
	for _, address := range []string{"192.0.2.1", "192.0.2.2"} {
		if first[address] < questions/4 {
			t.Errorf("%s was first in %d of %d answers", address, first[address], questions)
		}
	}
}
