package network

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"slices"

	"github.com/vishvananda/netlink"
)

// Attachment is the place of one replica in the network.
type Attachment struct {
	ReplicaID string
	// NetNSPath is the file of the replica's network namespace. In List it is empty when only the address is left, as after a
	// reboot.
	NetNSPath string
	// IP is the replica's address, Gateway its default route and name server. In List the address is not valid when only the
	// namespace is there, as after a crash in the middle of Attach.
	IP, Gateway netip.Addr
}

// Whole tells whether there is a namespace and an address; nil has neither. Whether the one leads to the other only Attach
// knows, and mends.
func (a *Attachment) Whole() bool { return a != nil && a.NetNSPath != "" && a.IP.IsValid() }

// Attach gives a replica its namespace and address, or returns those it has. It is idempotent and repairs what a crash in the
// middle left. A replica that was attached before, also before a reboot, gets the same address. Errors: ErrInvalid for an ID
// that is no file name of at most 63 characters; ErrUnguarded, retryable, while the packet rules are not in place.
func (n *Network) Attach(ctx context.Context, replicaID string) (Attachment, error) {
	if err := validateReplica(replicaID); err != nil {
		return Attachment{}, err
	}
	if !n.guarded.Load() {
		return Attachment{}, fmt.Errorf("attach replica %q: %w", replicaID, ErrUnguarded)
	}
	n.replicas.Lock(replicaID)
	defer n.replicas.Unlock(replicaID) //nolint:errcheck // fails only for a name that is not locked
	link, err := n.connect(ctx, replicaID)
	if err != nil {
		return Attachment{}, fmt.Errorf("attach replica %q: %w", replicaID, err)
	}
	return Attachment{ReplicaID: replicaID, NetNSPath: n.cfg.namespacePath(replicaID), IP: link.address, Gateway: n.cfg.Gateway()}, nil
}

func (n *Network) connect(ctx context.Context, replicaID string) (replicaLink, error) {
	link, err := inspect(n.cfg.namespacePath(replicaID), n.cfg.Subnet)
	if errors.Is(err, errNotWhole) {
		link, err = n.build(ctx, replicaID)
	}
	if err != nil {
		return link, err
	}
	bridge, err := netlink.LinkByName(n.cfg.Bridge)
	if err != nil {
		return link, fmt.Errorf("find bridge %q: %w", n.cfg.Bridge, err)
	}
	if err := isolate(bridge, link.host); err != nil {
		return link, err
	}
	n.ports.add(replicaID, link.host)
	return link, nil
}

// build makes namespace and interface anew. What an earlier try or boot left is cleared first; its address is asked for again.
func (n *Network) build(ctx context.Context, replicaID string) (replicaLink, error) {
	path := n.cfg.namespacePath(replicaID)
	unlock, err := n.lockAddresses(replicaID)
	if err != nil {
		return replicaLink{}, err
	}
	defer unlock()
	address, err := n.clear(ctx, replicaID)
	if err != nil {
		return replicaLink{}, err
	}
	if err := makeNamespace(path); err != nil {
		return replicaLink{}, err
	}
	if err := n.cni.add(ctx, replicaID, path, address); err != nil {
		return replicaLink{}, err // the namespace stays, not whole: the next Attach or Detach clears it
	}
	return inspect(path, n.cfg.Subnet)
}

// lockAddresses lets replicas that take any address run side by side. One that gets its own back runs alone: host-local
// refuses to reserve it again before it was given back, and in between nobody else may take it.
func (n *Network) lockAddresses(replicaID string) (unlock func(), err error) {
	reserved, err := reservations(n.cfg.addressDir())
	if err != nil {
		return nil, err
	}
	if _, again := reserved[replicaID]; again {
		n.addresses.Lock()
		return n.addresses.Unlock, nil
	}
	n.addresses.RLock()
	return n.addresses.RUnlock, nil
}

// clear removes what is left of a replica and returns the address that it had, or the zero one.
func (n *Network) clear(ctx context.Context, replicaID string) (netip.Addr, error) {
	path := n.cfg.namespacePath(replicaID)
	reserved, err := reservations(n.cfg.addressDir())
	if err != nil {
		return netip.Addr{}, err
	}
	address := reserved[replicaID]
	plugin := path
	if !isNamespace(path) {
		plugin = ""
	}
	if address.IsValid() || plugin != "" {
		if err := n.cni.remove(ctx, replicaID, plugin); err != nil {
			return netip.Addr{}, err
		}
	}
	if !n.cfg.Subnet.Contains(address) {
		address = netip.Addr{} // the node's subnet was changed
	}
	return address, removeNamespace(path)
}

// Detach forgets a replica's connections, removes its namespace and gives its address back, in this order. It is idempotent. Unpublish the
// replica before. Error: ErrInvalid.
func (n *Network) Detach(ctx context.Context, replicaID string) error {
	if err := validateReplica(replicaID); err != nil {
		return err
	}
	n.replicas.Lock(replicaID)
	defer n.replicas.Unlock(replicaID) //nolint:errcheck // fails only for a name that is not locked
	n.ports.remove(replicaID)
	if err := n.leave(ctx, replicaID); err != nil {
		return fmt.Errorf("detach replica %q: %w", replicaID, err)
	}
	return nil
}

// leave forgets the connections of an address before the address is given back: by then somebody else may have it.
func (n *Network) leave(ctx context.Context, replicaID string) error {
	reserved, err := reservations(n.cfg.addressDir())
	if err != nil {
		return err
	}
	if address := reserved[replicaID]; address.IsValid() {
		if err := cutReplica(address); err != nil {
			return err
		}
	}
	_, err = n.clear(ctx, replicaID)
	return err
}

// List returns every replica that has a namespace or a reserved address on this node, ordered by ID. It reads the disk and the
// kernel, so it also finds what an earlier process made.
func (n *Network) List(context.Context) ([]Attachment, error) { return n.list() }

func (n *Network) list() ([]Attachment, error) {
	reserved, err := reservations(n.cfg.addressDir())
	if err != nil {
		return nil, err
	}
	found := make(map[string]Attachment)
	for replicaID, ip := range reserved {
		found[replicaID] = Attachment{ReplicaID: replicaID, IP: ip, Gateway: n.cfg.Gateway()}
	}
	entries, err := os.ReadDir(n.cfg.namespaceDir())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list namespaces: %w", err)
	}
	for _, entry := range entries {
		a := found[entry.Name()]
		a.ReplicaID, a.Gateway = entry.Name(), n.cfg.Gateway()
		if path := n.cfg.namespacePath(a.ReplicaID); isNamespace(path) {
			a.NetNSPath = path
		}
		found[a.ReplicaID] = a
	}
	attachments := make([]Attachment, 0, len(found))
	for _, replicaID := range slices.Sorted(maps.Keys(found)) {
		attachments = append(attachments, found[replicaID])
	}
	return attachments, nil
}

func validateReplica(replicaID string) error {
	if !replicaNames.MatchString(replicaID) {
		return fmt.Errorf("replica ID %q: %w: want a file name of at most 63 characters", replicaID, ErrInvalid)
	}
	return nil
}
