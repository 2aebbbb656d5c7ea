package network

import (
	"context"
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
)

// Drift is one thing that somebody else's hand had changed and that Check has put right.
type Drift struct {
	// Part is one of a small fixed set: rules, elements, bridge, address, route, barrier, sysctl, foreign, port.
	Part string
	// Detail says what was wrong, for people.
	Detail string
}

// Check compares everything this package made with what the kernel has, repairs it and says what it had to repair. Rules come
// first, so that the bridge is never open. After an error of it Attach refuses until a later Check succeeds; the other repairs
// of the call are still made. It costs one run of nft and some netlink reads (a few milliseconds).
func (n *Network) Check(ctx context.Context) ([]Drift, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.tornDown {
		return nil, ErrUnguarded
	}
	repairs := []func(context.Context) ([]Drift, error){
		n.repairRules, n.repairElements, n.repairBarriers, n.repairBridge, n.repairPorts, n.repairForeignChains,
	}
	var repaired []Drift
	var errs []error
	for _, repair := range repairs {
		drifts, err := repair(ctx)
		repaired = append(repaired, drifts...)
		errs = append(errs, err)
	}
	err := errors.Join(errs...)
	n.guarded.Store(err == nil)
	if err != nil {
		return repaired, fmt.Errorf("check network of node %q: %w", n.cfg.Node, err)
	}
	return repaired, nil
}

// repairRules reloads the table when it is not, letter by letter, the one that was loaded.
func (n *Network) repairRules(ctx context.Context) ([]Drift, error) {
	now, err := listTable(ctx, n.cfg.table())
	if err == nil && n.listing != "" && now == n.listing {
		return nil, nil
	}
	detail := "packet rules were changed"
	switch {
	case err != nil:
		detail = "packet rules were missing"
	case n.listing == "":
		detail = "packet rules of an earlier process were replaced"
	}
	if err := n.load(ctx); err != nil {
		return nil, err
	}
	return []Drift{{"rules", detail}}, nil
}

func (n *Network) repairElements(context.Context) ([]Drift, error) {
	now, err := readDynamic(n.cfg.table())
	if err != nil || now.equal(n.want) {
		return nil, err
	}
	if err := n.write(n.want); err != nil {
		return nil, err
	}
	return []Drift{{"elements", "published ports, ingresses or redirects were changed"}}, nil
}

// maxDumps bounds how often a list is read again because the kernel changed it meanwhile.
const maxDumps = 8

// dump reads a list from the kernel until it is complete: one that changes while it is read may miss entries.
func dump[T any](read func() (T, error)) (T, error) {
	var list T
	var err error
	for range maxDumps {
		if list, err = read(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	return list, err
}
