// Package networktest holds an in-memory node network for tests of the agent, and the conformance suite that it and the real
// one must pass.
package networktest

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"

	"github.com/runway-platform/runway/agent/network"
)

var (
	fakeGateway = netip.MustParseAddr("10.64.1.1")
	fakeSubnet  = netip.MustParsePrefix("10.64.1.0/24")
)

// Fake is a node network in memory: 10.64.1.0/24 with the default range of node ports. It makes no namespace; NetNSPath is a
// name under /fake. Its methods may be called at the same time from many goroutines.
type Fake struct {
	mu        sync.Mutex
	next      netip.Addr
	attached  map[string]network.Attachment
	published map[uint16]netip.AddrPort
	publishes []map[uint16]netip.AddrPort
	ingresses []netip.Addr
	internal  network.Internal
	taken     map[uint16]bool
	cut       map[string]bool
	failure   error
}

// New returns an empty fake.
func New() *Fake {
	return &Fake{
		next:      fakeGateway.Next(),
		attached:  make(map[string]network.Attachment),
		published: make(map[uint16]netip.AddrPort),
		taken:     make(map[uint16]bool),
		cut:       make(map[string]bool),
	}
}

// Fail makes every later call that changes something return err and change nothing; nil ends that.
func (f *Fake) Fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failure = err
}

// Reboot takes away what does not outlive the machine's restart: namespaces, published ports, ingresses and redirects. Addresses
// stay reserved on disk.
func (f *Fake) Reboot() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, a := range f.attached {
		a.NetNSPath = ""
		f.attached[id] = a
	}
	f.published, f.ingresses, f.internal = map[uint16]netip.AddrPort{}, nil, network.Internal{}
}

// CutShort leaves what an Attach leaves whose process was killed in the middle: a namespace, with or without a reserved
// address, that leads nowhere until the next Attach.
func (f *Fake) CutShort(replicaID string, reserved bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	a := network.Attachment{ReplicaID: replicaID, NetNSPath: "/fake/" + replicaID, Gateway: fakeGateway}
	if reserved {
		a.IP, f.next = f.next, f.next.Next()
	}
	f.attached[replicaID], f.cut[replicaID] = a, true
}

// Leads tells whether the replica's address leads to its namespace.
func (f *Fake) Leads(replicaID string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.attached[replicaID].IP.IsValid() && !f.cut[replicaID]
}

// Take makes a node port look taken by another process.
func (f *Fake) Take(port uint16) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.taken[port] = true
}

// Publishes returns every map that was published, in order.
func (f *Fake) Publishes() []map[uint16]netip.AddrPort {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.publishes)
}

// Ingresses returns the addresses of the last AllowIngress.
func (f *Fake) Ingresses() []netip.Addr {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.ingresses)
}

// Internal returns the last Redirect.
func (f *Fake) Internal() network.Internal {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.internal
}

// The methods of network.Network

// Attach implements network.Network.
func (f *Fake) Attach(ctx context.Context, replicaID string) (network.Attachment, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.refuse(ctx); err != nil {
		return network.Attachment{}, err
	}
	if replicaID == "" {
		return network.Attachment{}, fmt.Errorf("replica ID %q: %w", replicaID, network.ErrInvalid)
	}
	delete(f.cut, replicaID)
	if a, ok := f.attached[replicaID]; ok && a.IP.IsValid() {
		a.NetNSPath = "/fake/" + replicaID // made anew after a reboot, with the same address
		f.attached[replicaID] = a
		return a, nil
	}
	a := network.Attachment{ReplicaID: replicaID, NetNSPath: "/fake/" + replicaID, IP: f.next, Gateway: fakeGateway}
	f.next = f.next.Next()
	f.attached[replicaID] = a
	return a, nil
}

// Detach implements network.Network.
func (f *Fake) Detach(ctx context.Context, replicaID string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.refuse(ctx); err != nil {
		return err
	}
	delete(f.attached, replicaID)
	delete(f.cut, replicaID)
	return nil
}

// List implements network.Network.
func (f *Fake) List(context.Context) ([]network.Attachment, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	attachments := make([]network.Attachment, 0, len(f.attached))
	for _, id := range slices.Sorted(maps.Keys(f.attached)) {
		attachments = append(attachments, f.attached[id])
	}
	return attachments, nil
}

// Publish implements network.Network.
func (f *Fake) Publish(ctx context.Context, ports map[uint16]netip.AddrPort) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.refuse(ctx); err != nil {
		return err
	}
	for port, to := range ports {
		if port < network.FirstNodePort || port > network.LastNodePort || !fakeSubnet.Contains(to.Addr()) || to.Addr() == fakeGateway || to.Port() == 0 {
			return fmt.Errorf("publish node port %d to %s: %w", port, to, network.ErrInvalid)
		}
	}
	f.published = maps.Clone(ports)
	f.publishes = append(f.publishes, maps.Clone(ports))
	return nil
}

// Published implements network.Network.
func (f *Fake) Published(context.Context) (map[uint16]netip.AddrPort, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.published), nil
}

// Holders implements network.Network.
func (f *Fake) Holders(context.Context) (map[uint16]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	holders := make(map[uint16]string, len(f.published))
	for port, to := range f.published {
		holders[port] = ""
		for replicaID, a := range f.attached {
			if a.IP == to.Addr() {
				holders[port] = replicaID
			}
		}
	}
	return holders, nil
}

// AllowIngress implements network.Network.
func (f *Fake) AllowIngress(ctx context.Context, addrs []netip.Addr) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.refuse(ctx); err != nil {
		return err
	}
	for _, addr := range addrs {
		if !addr.Unmap().Is4() {
			return fmt.Errorf("allow ingress %q: %w", addr, network.ErrInvalid)
		}
	}
	f.ingresses = slices.Clone(addrs)
	return nil
}

// Redirect implements network.Network.
func (f *Fake) Redirect(ctx context.Context, to network.Internal) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.refuse(ctx); err != nil {
		return err
	}
	for _, target := range []netip.AddrPort{to.DNS, to.HTTP, to.HTTPS} {
		if target != (netip.AddrPort{}) && !target.Addr().Is4() {
			return fmt.Errorf("redirect to %s: %w", target, network.ErrInvalid)
		}
	}
	f.internal = to
	return nil
}

// Taken implements network.Network.
func (f *Fake) Taken(_ context.Context, port uint16) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.taken[port], nil
}

// Check implements network.Network.
func (f *Fake) Check(ctx context.Context) ([]network.Drift, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return nil, f.refuse(ctx)
}

func (f *Fake) refuse(ctx context.Context) error {
	if f.failure != nil {
		return f.failure
	}
	return ctx.Err()
}
