package agent

import (
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"net/netip"
	"slices"
	"time"

	"github.com/runway-platform/runway/agent/network"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

const (
	// ingressEvery is how often the nearest ingress is asked whether it is there.
	ingressEvery = 5 * time.Second
	// ingressTimeout is how long it may take to accept a connection.
	ingressTimeout = time.Second
)

// ingressPlan is who may reach node ports, and where the gateway's ports lead.
type ingressPlan struct {
	allowed  []netip.Addr
	internal network.Internal
}

func (p ingressPlan) equal(o ingressPlan) bool {
	return slices.Equal(p.allowed, o.allowed) && p.internal == o.internal
}

// tendIngress lets the assigned ingresses in and leads the gateway to the nearest one that answers.
func (w *worker) tendIngress(ctx context.Context, now time.Time) time.Time {
	peers := w.desired.ingresses
	if inForce := w.node.ingress; inForce != nil && now.Before(w.node.ingressAt) && slices.Equal(inForce.allowed, w.allowed(peers)) {
		return w.node.ingressAt
	}
	if at, free := w.node.free(choreIngress, now); !free {
		return at
	}
	w.node.ingressAt = now.Add(ingressEvery)
	inForce, addresses := w.node.ingress, w.allowed(peers)
	w.begin(ctx, choreIngress, func(ctx context.Context) nodeResult {
		plan := ingressPlan{allowed: addresses, internal: w.nearest(ctx, peers)}
		return nodeResult{ingress: plan, err: w.applyIngress(ctx, inForce, plan)}
	})
	return w.node.ingressAt
}

// applyIngress writes what is not in force; nil means that this is not known, as after a restart of the agent.
func (w *worker) applyIngress(ctx context.Context, inForce *ingressPlan, plan ingressPlan) error {
	if inForce != nil && plan.equal(*inForce) {
		return nil
	}
	if err := w.deps.Network.AllowIngress(ctx, plan.allowed); err != nil {
		return err
	}
	return w.deps.Network.Redirect(ctx, plan.internal)
}

// allowed is the source addresses of the ingresses, each once. An address that node ports cannot be opened to shuts out its own
// ingress and no other.
func (w *worker) allowed(peers []*runwayv1.IngressPeer) []netip.Addr {
	addresses := make([]netip.Addr, 0, len(peers))
	for _, peer := range peers {
		address, err := netip.ParseAddr(peer.GetSourceAddress())
		if err != nil || !address.Unmap().Is4() {
			w.refuseIngress(peer)
			continue
		}
		addresses = append(addresses, address.Unmap())
	}
	slices.SortFunc(addresses, netip.Addr.Compare)
	return slices.Compact(addresses)
}

// refuseIngress says once for each address that it cannot be let in.
func (w *worker) refuseIngress(peer *runwayv1.IngressPeer) {
	if w.node.refused[peer.GetId()] == peer.GetSourceAddress() {
		return
	}
	if w.node.refused == nil {
		w.node.refused = map[string]string{}
	}
	w.node.refused[peer.GetId()] = peer.GetSourceAddress()
	why := fmt.Sprintf("ingress %q cannot reach this node: its source address %q is no IPv4 address", peer.GetId(), peer.GetSourceAddress())
	w.reporter.event("node.ingress", "", code.SpecInvalid, why)
	w.log.Warn("ingress is not let in", "ingress_id", peer.GetId(), "source_address", peer.GetSourceAddress())
}

// nearest is the listeners of the first ingress that answers, in order of preference. When none does, those of the first are
// as good as any: it may be about to start.
func (w *worker) nearest(ctx context.Context, peers []*runwayv1.IngressPeer) network.Internal {
	ordered := byPreference(peers, w.config.Address, w.config.Name)
	for _, peer := range ordered {
		if w.answers(ctx, cmp.Or(peer.GetInternalHttp(), peer.GetInternalHttps())) {
			return internalOf(peer)
		}
	}
	if len(ordered) == 0 {
		return network.Internal{}
	}
	return internalOf(ordered[0])
}

func (w *worker) answers(ctx context.Context, address string) bool {
	ctx, cancel := context.WithTimeout(ctx, ingressTimeout)
	defer cancel()
	conn, err := w.deps.Dial(ctx, "tcp", address)
	if err != nil {
		return false
	}
	return conn.Close() == nil
}

// byPreference puts ingresses of this machine first. The others follow in an order of each node's own, so that nodes spread
// over them and few move when one leaves.
func byPreference(peers []*runwayv1.IngressPeer, address, node string) []*runwayv1.IngressPeer {
	ordered := slices.DeleteFunc(slices.Clone(peers), func(p *runwayv1.IngressPeer) bool {
		to := internalOf(p)
		return !to.HTTP.IsValid() && !to.HTTPS.IsValid()
	})
	distance := func(p *runwayv1.IngressPeer) int {
		listener, err := netip.ParseAddrPort(cmp.Or(p.GetInternalHttp(), p.GetInternalHttps()))
		if p.GetSourceAddress() == address || err == nil && (listener.Addr().IsLoopback() || listener.Addr().String() == address) {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(ordered, func(a, b *runwayv1.IngressPeer) int {
		return cmp.Or(cmp.Compare(distance(a), distance(b)), cmp.Compare(weight(node, a.GetId()), weight(node, b.GetId())))
	})
	return ordered
}

// weight is rendezvous hashing.
func weight(node, ingress string) uint64 {
	sum := fnv.New64a()
	_, _ = sum.Write([]byte(node + "\x00" + ingress)) // a hash never fails
	return sum.Sum64()
}

func internalOf(peer *runwayv1.IngressPeer) network.Internal {
	return network.Internal{
		DNS: addressOf(peer.GetInternalDns()), HTTP: addressOf(peer.GetInternalHttp()), HTTPS: addressOf(peer.GetInternalHttps()),
	}
}

// addressOf is the zero address, which closes the port, for a listener that the ingress does not have or that the gateway, which
// speaks IPv4, cannot lead to.
func addressOf(text string) netip.AddrPort {
	address, err := netip.ParseAddrPort(text)
	if err != nil || !address.Addr().Is4() || address.Addr().IsUnspecified() {
		return netip.AddrPort{}
	}
	return address
}
