package network

import (
	"context"
	"fmt"
	"net/netip"
)

// Holders returns the replica that each published node port leads to now, by the kernel's map and the addresses that are
// reserved; "" for a port that leads to no replica. It remembers nothing, so what somebody else's hand has changed is told as it
// is. The map is read first: an address is given away only after no port leads to it any more.
func (n *Network) Holders(context.Context) (map[uint16]string, error) {
	found, err := readDynamic(n.cfg.table())
	if err != nil {
		return nil, err
	}
	reserved, err := reservations(n.cfg.addressDir())
	if err != nil {
		return nil, fmt.Errorf("find holders of node ports: %w", err)
	}
	replicas := make(map[netip.Addr]string, len(reserved))
	for replicaID, address := range reserved {
		replicas[address] = replicaID
	}
	holders := make(map[uint16]string, len(found.published))
	for port, to := range found.published {
		holders[port] = replicas[to.Addr()]
	}
	return holders, nil
}
