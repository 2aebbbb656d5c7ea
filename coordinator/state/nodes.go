package state

import runwayv1 "github.com/runway-platform/runway/proto/runway/v1"

const byName = "name"

var nodeTable = table[*runwayv1.Node]{
	name: TableNodes,
	key:  (*runwayv1.Node).GetId,
	indexes: map[string]func(*runwayv1.Node) string{
		byName: (*runwayv1.Node).GetName,
	},
}

// Node returns a node by id.
func (v *View) Node(id string) *runwayv1.Node { return nodeTable.get(v, id) }

// NodeByName returns the node with a name, the one with the lowest id when
// several machines have it.
func (v *View) NodeByName(name string) *runwayv1.Node { return nodeTable.find(v, byName, name) }

// Nodes returns every node.
func (v *View) Nodes() []*runwayv1.Node { return nodeTable.all(v) }

// PutNode writes a node.
func (tx *Tx) PutNode(node *runwayv1.Node) { nodeTable.put(tx, node) }

// DeleteNode removes a node, and nothing of what runs on it.
func (tx *Tx) DeleteNode(id string) { nodeTable.remove(tx, id) }
