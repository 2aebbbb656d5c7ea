package state

import runwayv1 "github.com/runway-platform/runway/proto/runway/v1"

const byNode = "node"

var replicaTable = table[*runwayv1.Replica]{
	name: TableReplicas,
	key:  (*runwayv1.Replica).GetId,
	indexes: map[string]func(*runwayv1.Replica) string{
		byWorkload: func(r *runwayv1.Replica) string { return string(IDOf(r.GetWorkload())) },
		byNode:     func(r *runwayv1.Replica) string { return r.GetPlan().GetNode() },
	},
}

// Replica returns a replica by id.
func (v *View) Replica(id string) *runwayv1.Replica { return replicaTable.get(v, id) }

// Replicas returns every replica.
func (v *View) Replicas() []*runwayv1.Replica { return replicaTable.all(v) }

// ReplicasOf returns the replicas of a workload.
func (v *View) ReplicasOf(id WorkloadID) []*runwayv1.Replica {
	return replicaTable.where(v, byWorkload, string(id))
}

// ReplicasOn returns the replicas that were placed on a node and not purged.
func (v *View) ReplicasOn(node string) []*runwayv1.Replica {
	return replicaTable.where(v, byNode, node)
}

// PutReplica writes a replica.
func (tx *Tx) PutReplica(replica *runwayv1.Replica) { replicaTable.put(tx, replica) }

// DeleteReplica removes a replica.
func (tx *Tx) DeleteReplica(id string) { replicaTable.remove(tx, id) }
