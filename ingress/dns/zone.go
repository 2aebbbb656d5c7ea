package dns

import (
	"strings"

	"github.com/miekg/dns"
)

const (
	// nameserver is the one name server of a zone, which stands for all ingresses.
	nameserver = "ns1."
	// overTCP is the label below which the services of a host are.
	overTCP = "_tcp."
	// internalPort is where every gateway serves internal names.
	internalPort = 80
)

// kind is what a name in a zone is.
type kind uint8

const (
	absentName  kind = iota
	betweenName      // nothing itself, but names below it exist: an empty non-terminal
	apexName
	serverName // the name server
	hostName
	serviceName
)

// zone holds which names exist below an apex. Names are lower case and end with
// a dot.
type zone struct {
	apex    string
	service string // labels before a host that ask for its service, such as _https._tcp.
	ports   []uint16
	kinds   map[string]kind
}

func newZone(name, protocol string) *zone {
	return &zone{
		apex:    name,
		service: protocol + overTCP,
		kinds:   map[string]kind{name: apexName, nameserver + name: serverName},
	}
}

// contains tells whether a name is the apex or below it. A dot inside a label is
// written with a backslash and separates nothing.
func (z *zone) contains(name string) bool {
	if strings.IndexByte(name, '\\') >= 0 {
		return dns.IsSubDomain(z.apex, name)
	}
	above, ok := strings.CutSuffix(name, z.apex)
	return ok && (above == "" || above[len(above)-1] == '.')
}

// add makes a host exist, and with it every name between it and the apex.
func (z *zone) add(name string) {
	if z.kinds[name] <= betweenName {
		z.kinds[name] = hostName
	}
	for {
		_, name, _ = strings.Cut(name, ".")
		if z.kinds[name] != absentName {
			return
		}
		z.kinds[name] = betweenName
	}
}

// kind tells what a name is. Services are not stored: they follow from hosts.
func (z *zone) kind(name string) kind {
	if k := z.kinds[name]; k != absentName {
		return k
	}
	if of, ok := strings.CutPrefix(name, z.service); ok && z.kinds[of] == hostName {
		return serviceName
	}
	if of, ok := strings.CutPrefix(name, overTCP); ok && z.kinds[of] == hostName {
		return betweenName
	}
	return absentName
}
