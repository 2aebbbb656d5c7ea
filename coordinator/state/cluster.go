package state

import runwayv1 "github.com/runway-platform/runway/proto/runway/v1"

// clusterKey is the key of the one object in its table.
const clusterKey = "cluster"

var clusterTable = table[*runwayv1.Cluster]{
	name: TableCluster,
	key:  func(*runwayv1.Cluster) string { return clusterKey },
}

// Cluster returns the object about the cluster itself, nil before bootstrap.
func (v *View) Cluster() *runwayv1.Cluster { return clusterTable.get(v, clusterKey) }

// PutCluster writes the object about the cluster itself.
func (tx *Tx) PutCluster(cluster *runwayv1.Cluster) { clusterTable.put(tx, cluster) }
