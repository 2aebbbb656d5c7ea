package state

import (
	"github.com/hashicorp/go-memdb"
)

// Table names one kind of object, here and in snapshots. Names never change.
type Table string

// The tables, in the order in which a snapshot holds them.
const (
	TableCluster     Table = "cluster"
	TableSpaces      Table = "spaces"
	TableWorkloads   Table = "workloads"
	TableRevisions   Table = "revisions"
	TableDeployments Table = "deployments"
	TableWanted      Table = "wanted"
	TableReplicas    Table = "replicas"
	TableNodes       Table = "nodes"
	TableIngresses   Table = "ingresses"
	TableTokens      Table = "tokens"
	TableJoinTokens  Table = "join_tokens"
	TableEvents      Table = "events"

	TableDeletedWorkloads Table = "deleted_workloads"
	TableRemovedMachines  Table = "removed_machines"
)

// tables is the one list of what the state consists of: the schema, the snapshot
// and the watches loop over it. Add new ones at the end; tableSet has room for 32.
var tables = []anyTable{
	clusterTable, spaceTable, workloadTable, revisionTable, deploymentTable, wantedTable,
	replicaTable, nodeTable, ingressTable, tokenTable, joinTokenTable, eventTable,
	deletedTable, removedTable,
}

// bits gives each table its place in a tableSet.
var bits = numberTables()

func numberTables() map[Table]tableSet {
	numbers := make(map[Table]tableSet, len(tables))
	for i, t := range tables {
		numbers[t.named()] = 1 << i
	}
	return numbers
}

// Tables returns every table in the order of the snapshot.
func Tables() []Table {
	names := make([]Table, len(tables))
	for i, t := range tables {
		names[i] = t.named()
	}
	return names
}

func tableNamed(name Table) anyTable {
	for _, t := range tables {
		if t.named() == name {
			return t
		}
	}
	return nil
}

func schema() *memdb.DBSchema {
	all := &memdb.DBSchema{Tables: make(map[string]*memdb.TableSchema, len(tables))}
	for _, t := range tables {
		all.Tables[string(t.named())] = t.schema()
	}
	return all
}
