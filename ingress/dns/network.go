package dns

import (
	"cmp"
	"net/netip"
	"slices"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// networks tell from where a question comes. They are made for many nodes: a
// look-up costs one map access per distinct size of subnet.
type networks struct {
	subnets map[netip.Prefix]netip.Addr // to the gateway
	sizes   []int                       // of subnets, in bits, the smallest network first
	nodes   map[netip.Addr]netip.Addr   // address of a node to the gateway on it
	only    netip.Addr                  // the gateway, when there is one network
}

// asker is whoever sent a question to the internal listener.
type asker struct {
	// known askers are replicas, nodes and this machine. Nobody else learns which
	// internal names exist, nor has names resolved.
	known bool
	// gateway is where the asker reaches internal services; invalid when unknown.
	gateway netip.Addr
}

// newNetworks leaves out what is odd and tells problem about it. Of two networks
// with one address the node with the smaller name counts: nodes that share an
// address are on one machine, where each gateway serves all of them.
func newNetworks(list []*runwayv1.NodeNetwork, problem func(format string, values ...any)) networks {
	n := networks{subnets: map[netip.Prefix]netip.Addr{}, nodes: map[netip.Addr]netip.Addr{}}
	sorted := slices.SortedFunc(slices.Values(list), func(a, b *runwayv1.NodeNetwork) int {
		return cmp.Compare(a.GetNode(), b.GetNode())
	})
	for _, one := range sorted {
		gateway, err := netip.ParseAddr(one.GetGateway())
		if err != nil {
			problem("node %q has the odd gateway %q", one.GetNode(), one.GetGateway())
			continue
		}
		if subnet, err := netip.ParsePrefix(one.GetSubnet()); err != nil {
			problem("node %q has the odd subnet %q", one.GetNode(), one.GetSubnet())
		} else {
			putNew(n.subnets, subnet.Masked(), gateway)
			n.sizes = append(n.sizes, subnet.Bits())
		}
		if address, err := netip.ParseAddr(one.GetNodeAddress()); err != nil {
			problem("node %q has the odd address %q", one.GetNode(), one.GetNodeAddress())
		} else {
			putNew(n.nodes, address.Unmap(), gateway)
		}
	}
	n.sizes = sortUnique(n.sizes, func(a, b int) int { return b - a })
	if len(n.subnets) == 1 {
		for _, n.only = range n.subnets {
		}
	}
	return n
}

// asker tells who sends from an address. This machine itself is known; where it
// has a single network, that one's gateway is meant.
func (n networks) asker(from netip.Addr) asker {
	from = from.Unmap().WithZone("")
	for _, bits := range n.sizes {
		subnet, err := from.Prefix(bits)
		if err != nil {
			continue // the subnet is of the other address family
		}
		if gateway, ok := n.subnets[subnet]; ok {
			return asker{known: true, gateway: gateway}
		}
	}
	if gateway, ok := n.nodes[from]; ok {
		return asker{known: true, gateway: gateway}
	}
	if from.IsLoopback() {
		return asker{known: true, gateway: n.only}
	}
	return asker{}
}

func putNew[K comparable, V any](m map[K]V, key K, value V) {
	if _, taken := m[key]; !taken {
		m[key] = value
	}
}
