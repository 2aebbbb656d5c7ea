package network

import (
	"maps"
	"net/netip"
)

// entry is one line of a map of the node's table.
type entry[K, V comparable] struct {
	key   K
	value V
}

// owed is entries that are gone from the table and whose connections are not cut yet. They are remembered until that succeeded:
// by the next call the entries themselves are history.
type owed[K, V comparable] map[entry[K, V]]struct{}

// settle cuts the connections of everything that is in old and not in next, and of what is owed from before. What is in next
// again leads where it did, and is not cut.
func (o owed[K, V]) settle(old, next map[K]V, cut func(owed[K, V]) error) error {
	for key, value := range removed(old, next) {
		o[entry[K, V]{key, value}] = struct{}{}
	}
	maps.DeleteFunc(o, func(e entry[K, V], _ struct{}) bool {
		value, there := next[e.key]
		return there && value == e.value
	})
	if len(o) == 0 {
		return nil
	}
	if err := cut(o); err != nil {
		return err
	}
	clear(o)
	return nil
}

func (o owed[K, V]) has(key K, value V) bool {
	_, found := o[entry[K, V]{key, value}]
	return found
}

// debts are what is owed for each map of the table.
type debts struct {
	published owed[uint16, netip.AddrPort]
	internal  owed[gatewayPort, netip.AddrPort]
	ingress   owed[netip.Addr, struct{}]
}

func newDebts() debts {
	return debts{owed[uint16, netip.AddrPort]{}, owed[gatewayPort, netip.AddrPort]{}, owed[netip.Addr, struct{}]{}}
}
