package dns

import (
	"math/rand/v2"
	"net/netip"
	"strconv"

	"github.com/miekg/dns"
)

const (
	// ttl is how long an answer may be kept, in seconds. A lost ingress is out of
	// every cache after this time; the same holds for a denied name that appears.
	ttl = 5
	// Times of the SOA record, in seconds. Nobody transfers the zones, so they only
	// have to look sane to tools.
	soaRefresh = 60
	soaRetry   = 10
	soaExpire  = 86400
)

// answer is what is said to a question, before it becomes a message.
type answer struct {
	rcode         int
	authoritative bool
	records       []dns.RR
	denial        []dns.RR // goes into the authority section
	glue          []dns.RR // goes into the additional section
}

// resolve answers a question about a name in the zone. The addresses are those of
// the zone's hosts for this asker.
//
// That no ingress is known is a failure and no empty answer: a resolver takes it
// to the next server or hides it behind its cache.
func (r *Records) resolve(z *zone, q dns.Question, name string, addresses []netip.Addr) answer {
	a := answer{authoritative: true}
	switch k := z.kind(name); {
	case k == absentName:
		a.rcode = dns.RcodeNameError
	case q.Qtype == dns.TypeANY:
		a.records = []dns.RR{refusedAny(q)}
	case k == apexName:
		a.records, a.glue = r.apexRecords(z, q, addresses)
	case k == hostName, k == serverName:
		if z == r.public && len(addresses) == 0 && asksAddress(q) {
			return answer{rcode: dns.RcodeServerFailure}
		}
		a.records = addressRecords(q.Name, q.Qtype, addresses)
	case k == serviceName && q.Qtype == dns.TypeSRV:
		a.records = z.serviceRecords(q)
	}
	if len(a.records) == 0 {
		a.denial = []dns.RR{r.soa(z, z.apex)}
	}
	return a
}

// noData says that a name has nothing of the type, and nothing about the name.
func (r *Records) noData(z *zone) answer {
	return answer{authoritative: true, denial: []dns.RR{r.soa(z, z.apex)}}
}

func (r *Records) apexRecords(z *zone, q dns.Question, addresses []netip.Addr) (records, glue []dns.RR) {
	switch q.Qtype {
	case dns.TypeSOA:
		records = []dns.RR{r.soa(z, q.Name)}
	case dns.TypeNS:
		name := nameserver + z.apex
		records = []dns.RR{&dns.NS{Hdr: header(q.Name, dns.TypeNS), Ns: name}}
		glue = append(addressRecords(name, dns.TypeA, addresses), addressRecords(name, dns.TypeAAAA, addresses)...)
	case dns.TypeTXT:
		text := "generation=" + strconv.FormatUint(r.generation, 10)
		records = []dns.RR{&dns.TXT{Hdr: header(q.Name, dns.TypeTXT), Txt: []string{text}}}
	}
	return records, glue
}

func (r *Records) soa(z *zone, owner string) dns.RR {
	return &dns.SOA{
		Hdr:     header(owner, dns.TypeSOA),
		Ns:      nameserver + z.apex,
		Mbox:    "hostmaster." + z.apex,
		Serial:  r.serial(),
		Refresh: soaRefresh,
		Retry:   soaRetry,
		Expire:  soaExpire,
		Minttl:  ttl,
	}
}

// addressRecords returns the addresses of the type's family, beginning with any
// of them: clients that take the first are spread.
func addressRecords(owner string, qtype uint16, addresses []netip.Addr) []dns.RR {
	var records []dns.RR
	for _, address := range addresses {
		switch {
		case qtype == dns.TypeA && address.Is4():
			records = append(records, &dns.A{Hdr: header(owner, dns.TypeA), A: address.AsSlice()})
		case qtype == dns.TypeAAAA && address.Is6():
			records = append(records, &dns.AAAA{Hdr: header(owner, dns.TypeAAAA), AAAA: address.AsSlice()})
		}
	}
	if len(records) < 2 {
		return records
	}
	// Not a counter: clients ask for A and AAAA in turns, and every A question
	// would meet the same count.
	first := rand.IntN(len(records)) //nolint:gosec // spreads load, protects nothing
	return append(records[first:len(records):len(records)], records[:first]...)
}

func asksAddress(q dns.Question) bool { return q.Qtype == dns.TypeA || q.Qtype == dns.TypeAAAA }

func (z *zone) serviceRecords(q dns.Question) []dns.RR {
	target := q.Name[len(z.service):]
	records := make([]dns.RR, len(z.ports))
	for i, port := range z.ports {
		records[i] = &dns.SRV{Hdr: header(q.Name, dns.TypeSRV), Port: port, Target: target}
	}
	return records
}

// refusedAny is the small answer of RFC 8482 to a question for everything.
func refusedAny(q dns.Question) dns.RR {
	return &dns.HINFO{Hdr: header(q.Name, dns.TypeHINFO), Cpu: "RFC8482"}
}

func header(owner string, rrtype uint16) dns.RR_Header {
	return dns.RR_Header{Name: owner, Rrtype: rrtype, Class: dns.ClassINET, Ttl: ttl}
}
