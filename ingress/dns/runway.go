// Package dns answers questions for the names of services: a CoreDNS plugin, and
// the CoreDNS server that runs it inside the ingress. Public names lead to the
// live ingresses; internal names lead a replica to the gateway of its own node.
// It answers from the last good set of routes whether or not a coordinator is in
// reach, and it never denies a name because it lost its state.
package dns

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/pkg/dnstest"
	"github.com/miekg/dns"

	"github.com/runway-platform/runway/ingress/route"
)

// Runway is the plugin. With the public scope it answers for the public zone and
// refuses everything else; with the internal scope it also answers for the
// internal zone, and gives other names to the next plugin.
type Runway struct {
	Next plugin.Handler

	scope   route.Scope
	source  Source
	metrics *metrics
}

// plugin.Handler

var _ plugin.Handler = (*Runway)(nil)

// Name returns the name of the directive.
func (h *Runway) Name() string { return pluginName }

// ServeDNS answers one question. As every plugin does, it writes an answer or
// returns the code of a failure, which the server writes then.
func (h *Runway) ServeDNS(ctx context.Context, w dns.ResponseWriter, req *dns.Msg) (int, error) {
	begin := time.Now()
	written := dnstest.NewRecorder(w)
	zone, rcode, err := h.serve(ctx, written, req)
	said := rcode
	if written.Msg != nil {
		said = written.Rcode
	}
	h.metrics.observe(zone, req.Question[0].Qtype, said, time.Since(begin))
	return rcode, err
}

// serve returns the zone for the metrics, too.
func (h *Runway) serve(ctx context.Context, w dns.ResponseWriter, req *dns.Msg) (string, int, error) {
	if rcode := unwanted(req); rcode != dns.RcodeSuccess {
		return zoneOther, rcode, nil
	}
	records := h.source.Records()
	if records == nil {
		return zoneOther, dns.RcodeServerFailure, nil
	}
	q := req.Question[0]
	name := strings.ToLower(q.Name)
	from := h.asker(records, w)
	switch z := records.zoneOf(h.scope, name); {
	case z == nil:
		rcode, err := h.elsewhere(ctx, w, req, from)
		return zoneOther, rcode, err
	case z == records.internal && !from.known:
		rcode, err := h.write(w, req, records.noData(z))
		return zoneInternal, rcode, err
	case z == records.internal:
		rcode, err := h.write(w, req, records.resolve(z, q, name, from.addresses()))
		return zoneInternal, rcode, err
	default:
		rcode, err := h.write(w, req, records.resolve(z, q, name, records.addresses))
		return zonePublic, rcode, err
	}
}

// unwanted returns the code for messages that are no plain question, and success
// for those that are.
func unwanted(req *dns.Msg) int {
	q := req.Question[0]
	switch {
	case req.Opcode != dns.OpcodeQuery: // NOTIFY gets here, UPDATE does not
		return dns.RcodeNotImplemented
	case q.Qclass != dns.ClassINET, q.Qtype == dns.TypeAXFR, q.Qtype == dns.TypeIXFR:
		return dns.RcodeRefused
	}
	return dns.RcodeSuccess
}

// elsewhere handles names outside of our zones: only known askers of the internal
// listener have them resolved, so that no ingress is an open resolver.
func (h *Runway) elsewhere(ctx context.Context, w dns.ResponseWriter, req *dns.Msg, from asker) (int, error) {
	q := req.Question[0]
	switch {
	case !from.known || h.Next == nil:
		return dns.RcodeRefused, nil
	case q.Qtype == dns.TypeANY:
		return h.write(w, req, answer{records: []dns.RR{refusedAny(q)}})
	}
	return plugin.NextOrFailure(h.Name(), h.Next, ctx, w, req)
}

// write sends an answer. Failures are not written: the server does that.
func (h *Runway) write(w dns.ResponseWriter, req *dns.Msg, a answer) (int, error) {
	if !plugin.ClientWrite(a.rcode) {
		return a.rcode, nil
	}
	m := new(dns.Msg).SetRcode(req, a.rcode)
	m.Authoritative = a.authoritative
	m.RecursionAvailable = h.Next != nil
	m.Compress = true
	m.Answer, m.Ns, m.Extra = a.records, a.denial, a.glue
	if err := w.WriteMsg(m); err != nil {
		return a.rcode, fmt.Errorf("write answer: %w", err)
	}
	return a.rcode, nil
}

// asker tells who asks the internal listener; the public one has only strangers.
func (h *Runway) asker(records *Records, w dns.ResponseWriter) asker {
	if h.scope != route.Internal {
		return asker{}
	}
	from, ok := w.RemoteAddr().(interface{ AddrPort() netip.AddrPort })
	if !ok {
		return asker{}
	}
	return records.networks.asker(from.AddrPort().Addr())
}

func (a asker) addresses() []netip.Addr {
	if !a.gateway.IsValid() {
		return nil
	}
	return []netip.Addr{a.gateway}
}
