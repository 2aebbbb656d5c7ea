package network

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// Denied returns how many packets the rules have dropped since they were loaded, by reason: metadata, egress, node, spoof,
// source, identity. It is empty while the table is missing.
func (n *Network) Denied(context.Context) (map[string]uint64, error) {
	conn, err := nftables.New()
	if err != nil {
		return nil, fmt.Errorf("open nftables: %w", err)
	}
	if there, err := hasTable(conn, n.cfg.table()); err != nil || !there {
		return nil, err
	}
	objects, err := conn.GetNamedObjects(&nftables.Table{Family: nftables.TableFamilyINet, Name: n.cfg.table()})
	if err != nil {
		return nil, fmt.Errorf("read counters of table %q: %w", n.cfg.table(), err)
	}
	denied := make(map[string]uint64)
	for _, o := range objects {
		named, ok := o.(*nftables.NamedObj)
		if !ok {
			continue
		}
		if counter, ok := named.Obj.(*expr.Counter); ok {
			denied[strings.TrimPrefix(named.Name, "denied_")] = counter.Packets
		}
	}
	return denied, nil
}
