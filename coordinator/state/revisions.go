package state

import (
	"fmt"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// RevisionsKept bounds the revisions of a workload. Twenty is a month of daily
// work to roll back over; at a few KiB each, 10,000 workloads stay below 1 GiB.
// Revisions in use are kept beyond it.
const RevisionsKept = 20

const byWorkload = "workload"

var revisionTable = table[*runwayv1.Revision]{
	name: TableRevisions,
	key:  func(r *runwayv1.Revision) string { return revisionKey(IDOf(r.GetWorkload()), r.GetNumber()) },
	indexes: map[string]func(*runwayv1.Revision) string{
		byWorkload: func(r *runwayv1.Revision) string { return string(IDOf(r.GetWorkload())) },
	},
}

// revisionKey sorts revisions of a workload by number.
func revisionKey(id WorkloadID, number uint64) string { return fmt.Sprintf("%s/%020d", id, number) }

// Revision returns revision number of a workload.
func (v *View) Revision(id WorkloadID, number uint64) *runwayv1.Revision {
	return revisionTable.get(v, revisionKey(id, number))
}

// Revisions returns the revisions of a workload, oldest first.
func (v *View) Revisions(id WorkloadID) []*runwayv1.Revision {
	return revisionTable.where(v, byWorkload, string(id))
}

// PutRevision writes a revision and forgets the oldest unused ones beyond
// RevisionsKept.
func (tx *Tx) PutRevision(revision *runwayv1.Revision) {
	revisionTable.put(tx, revision)
	tx.trimRevisions(IDOf(revision.GetWorkload()), revision.GetNumber())
}

// DeleteRevision removes a revision.
func (tx *Tx) DeleteRevision(id WorkloadID, number uint64) {
	revisionTable.remove(tx, revisionKey(id, number))
}

func (tx *Tx) trimRevisions(id WorkloadID, newest uint64) {
	revisions := tx.Revisions(id)
	excess := len(revisions) - RevisionsKept
	if excess <= 0 {
		return
	}
	used := tx.revisionsInUse(id)
	used[newest] = true
	for _, revision := range revisions[:excess] {
		if !used[revision.GetNumber()] {
			tx.DeleteRevision(id, revision.GetNumber())
		}
	}
}

// revisionsInUse are those that serve, that a deployment moves to or from, and
// that a replica runs.
func (tx *Tx) revisionsInUse(id WorkloadID) map[uint64]bool {
	workload := tx.Workload(id)
	used := map[uint64]bool{workload.GetServingRevision(): true}
	if active := tx.Deployment(workload.GetActiveDeployment()); active != nil {
		used[active.GetSpec().GetRevision()] = true
		used[active.GetSpec().GetPreviousRevision()] = true
	}
	for _, replica := range tx.ReplicasOf(id) {
		used[replica.GetRevision()] = true
	}
	return used
}
