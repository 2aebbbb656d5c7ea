package state

import runwayv1 "github.com/runway-platform/runway/proto/runway/v1"

// WriterManifest marks a wanted count that nobody chose: each revision has its own
// minimum.
const WriterManifest = "manifest"

var wantedTable = table[*runwayv1.Wanted]{
	name: TableWanted,
	key:  func(w *runwayv1.Wanted) string { return wantedKey(IDOf(w.GetWorkload()), w.GetRegion()) },
	indexes: map[string]func(*runwayv1.Wanted) string{
		byWorkload: func(w *runwayv1.Wanted) string { return string(IDOf(w.GetWorkload())) },
	},
}

func wantedKey(id WorkloadID, region string) string { return string(id) + "/" + region }

// Wanted returns how many replicas a workload has in a region, and why.
func (v *View) Wanted(id WorkloadID, region string) *runwayv1.Wanted {
	return wantedTable.get(v, wantedKey(id, region))
}

// WantedOf returns the wanted counts of a workload, by region.
func (v *View) WantedOf(id WorkloadID) []*runwayv1.Wanted {
	return wantedTable.where(v, byWorkload, string(id))
}

// Size returns how many replicas of a revision a wanted count means: a count that
// somebody chose, as far as the revision's bounds allow, else the revision's minimum.
// The count is the user's and outlives revisions; bounds are a revision's. Log entries
// depend on it, see fleet.Work.
func Size(w *runwayv1.Wanted, spec *runwayv1.RevisionSpec) int {
	if spec == nil {
		return int(w.GetCount())
	}
	policy := spec.GetScale()
	if w.GetWriter() == WriterManifest {
		return int(policy.GetMin())
	}
	count := max(w.GetCount(), policy.GetMin())
	if most := policy.GetMax(); most != 0 {
		count = min(count, most)
	}
	return int(count)
}

// PutWanted writes a wanted count.
func (tx *Tx) PutWanted(wanted *runwayv1.Wanted) { wantedTable.put(tx, wanted) }

// DeleteWanted removes a wanted count.
func (tx *Tx) DeleteWanted(id WorkloadID, region string) {
	wantedTable.remove(tx, wantedKey(id, region))
}
