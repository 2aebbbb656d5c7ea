// Package network gives each replica of a node its own network namespace and address, publishes replicas on node ports,
// and keeps everything else closed. It owns one bridge, one nftables table and the CNI state of one node; several nodes may
// share a machine. It knows nothing of containers, images, assignments or sessions.
package network

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/moby/locker"
)

var (
	// ErrInvalid is wrapped by every error about a value that the caller passed. Trying again cannot help.
	ErrInvalid = errors.New("invalid")

	// ErrUnguarded is returned by Attach while the packet rules of the node are not known to be in place. The next Check that
	// succeeds ends it.
	ErrUnguarded = errors.New("packet rules are not in place")
)

// commandTimeout bounds one run of nft, which takes about 5 ms on an idle machine.
const commandTimeout = 10 * time.Second

// Network is the network of one node. Its methods may be called at the same time from many goroutines. All of them must run
// in the network namespace of the node, which is the one the process was started in.
type Network struct {
	cfg Config
	log *slog.Logger
	cni *cni

	replicas  *locker.Locker // one step at a time for each replica
	addresses sync.RWMutex   // see lockAddresses
	ports     ports          // the host ends of the replicas' links

	mu       sync.Mutex // guards the kernel's rules, bridge and routes, and the fields below
	want     dynamic    // what the maps and sets of the table must hold
	debts    debts      // connections that are still to be cut
	listing  string     // what nft lists for the static part of the table as loaded by us
	guarded  atomic.Bool
	tornDown bool
}

// New returns the network that cfg describes and touches nothing. Error: ErrInvalid.
func New(cfg Config, log *slog.Logger) (*Network, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	plugins, err := newCNI(cfg)
	if err != nil {
		return nil, err
	}
	return &Network{cfg: cfg, log: log.With("component", "network", "bridge", cfg.Bridge), cni: plugins, replicas: locker.New(), debts: newDebts()}, nil
}

// Start makes rules, bridge and routes, in this order, so that nothing is ever attached to an open bridge. Published ports,
// allowed ingresses and redirects that an earlier process of this node left in the kernel are adopted: a restart interrupts
// no connection. Replicas found on disk are kept as they are.
func (n *Network) Start(ctx context.Context) error {
	if err := n.prepareDirs(); err != nil {
		return err
	}
	if err := n.adopt(); err != nil {
		return err
	}
	made, err := n.Check(ctx)
	n.log.Info("network started", "gateway", n.cfg.Gateway(), "subnet", n.cfg.Subnet, "made", len(made), "err", err)
	return err
}

func (n *Network) prepareDirs() error {
	for _, dir := range []string{n.cfg.namespaceDir(), n.cfg.addressDir()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("make network folder: %w", err)
		}
	}
	return n.cni.writeConf()
}

// adopt takes over what an earlier process left: the table's elements, the addresses on disk and the links of live replicas.
func (n *Network) adopt() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	found, err := readDynamic(n.cfg.table())
	if err != nil {
		return err
	}
	n.want = found
	attachments, err := n.list()
	if err != nil {
		return err
	}
	for _, a := range attachments {
		link, err := inspect(a.NetNSPath, n.cfg.Subnet)
		if errors.Is(err, errNotWhole) {
			continue // the next Attach or Detach clears it
		}
		if err != nil {
			return err
		}
		n.ports.add(a.ReplicaID, link.host)
	}
	return nil
}

// Teardown removes every trace of this node: its replicas' namespaces, bridge, routes, rules, address reservations and both
// folders. It needs no Start before, is idempotent, and goes on after an error to remove what it can. IP forwarding stays on:
// somebody else on the machine may rely on it by now. The Network is of no use afterwards.
func (n *Network) Teardown(ctx context.Context) error {
	n.guarded.Store(false)
	attachments, err := n.list()
	errs := []error{err}
	for _, a := range attachments {
		errs = append(errs, n.Detach(ctx, a.ReplicaID))
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.tornDown = true
	errs = append(errs, n.removeBridge(), n.removeBarriers(), n.closeForeignChains(), deleteTable(n.cfg.table()))
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("tear down network of node %q: %w", n.cfg.Node, err)
	}
	return errors.Join(os.RemoveAll(n.cfg.RunDir), os.RemoveAll(n.cfg.StateDir))
}
