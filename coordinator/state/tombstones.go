package state

import (
	"fmt"
	"time"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// What is gone is remembered for a while, and only so much of it.
const (
	// TombstonesKept bounds each kind. One takes about 100 bytes.
	TombstonesKept = 10_000
	// deletedKept is how long an ingress may be away and still be told that a
	// workload was deleted, rather than lost.
	deletedKept = 30 * 24 * time.Hour
	// removedKept outlives every certificate of a machine by a margin.
	removedKept = 60 * 24 * time.Hour

	byAge = "age"
)

var deletedTable = table[*runwayv1.DeletedWorkload]{
	name: TableDeletedWorkloads,
	key:  func(d *runwayv1.DeletedWorkload) string { return string(IDOf(d.GetWorkload())) },
	indexes: map[string]func(*runwayv1.DeletedWorkload) string{
		byAge: func(d *runwayv1.DeletedWorkload) string { return age(d.GetMeta()) },
	},
}

var removedTable = table[*runwayv1.RemovedMachine]{
	name: TableRemovedMachines,
	key:  (*runwayv1.RemovedMachine).GetId,
	indexes: map[string]func(*runwayv1.RemovedMachine) string{
		byAge: func(m *runwayv1.RemovedMachine) string { return age(m.GetMeta()) },
	},
}

// age sorts objects by when they were made.
func age(meta *runwayv1.Meta) string { return fmt.Sprintf("%020d", meta.GetCreatedIndex()) }

// DeletedWorkloads returns the workloads that users deleted lately.
func (v *View) DeletedWorkloads() []*runwayv1.DeletedWorkload { return deletedTable.all(v) }

// RemovedMachine returns the tombstone of a node or an ingress that was removed.
func (v *View) RemovedMachine(id string) *runwayv1.RemovedMachine { return removedTable.get(v, id) }

// PutDeletedWorkload remembers that a user deleted the workload.
func (tx *Tx) PutDeletedWorkload(key *runwayv1.WorkloadKey) {
	tx.DeleteDeletedWorkload(IDOf(key)) // it is as old as its last deletion
	deletedTable.put(tx, &runwayv1.DeletedWorkload{Workload: key})
	trim(tx, deletedTable, deletedKept)
}

// DeleteDeletedWorkload forgets that the workload was deleted: it is there again.
func (tx *Tx) DeleteDeletedWorkload(id WorkloadID) { deletedTable.remove(tx, string(id)) }

// PutRemovedMachine remembers that the machine was removed.
func (tx *Tx) PutRemovedMachine(id string) {
	removedTable.remove(tx, id)
	removedTable.put(tx, &runwayv1.RemovedMachine{Id: id})
	trim(tx, removedTable, removedKept)
}

// trim forgets the tombstones that are too old, and the oldest of too many.
func trim[T Object](tx *Tx, t table[T], kept time.Duration) {
	limit := tx.at.AsTime().Add(-kept)
	for tx.Count(t.name) > 0 {
		oldest := t.firstBy(tx.View, byAge)
		if tx.Count(t.name) <= TombstonesKept && oldest.GetMeta().GetCreatedAt().AsTime().After(limit) {
			return
		}
		tx.remove(t.name, oldest)
	}
}
