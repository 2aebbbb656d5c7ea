package state

import runwayv1 "github.com/runway-platform/runway/proto/runway/v1"

const bySpace = "space"

var workloadTable = table[*runwayv1.Workload]{
	name: TableWorkloads,
	key:  func(w *runwayv1.Workload) string { return string(IDOf(w.GetKey())) },
	indexes: map[string]func(*runwayv1.Workload) string{
		bySpace: func(w *runwayv1.Workload) string { return w.GetKey().GetSpace() },
	},
}

// Workload returns a workload.
func (v *View) Workload(id WorkloadID) *runwayv1.Workload { return workloadTable.get(v, string(id)) }

// Workloads returns every workload.
func (v *View) Workloads() []*runwayv1.Workload { return workloadTable.all(v) }

// WorkloadsIn returns the workloads of a space.
func (v *View) WorkloadsIn(space string) []*runwayv1.Workload {
	return workloadTable.where(v, bySpace, space)
}

// PutWorkload writes a workload.
func (tx *Tx) PutWorkload(workload *runwayv1.Workload) { workloadTable.put(tx, workload) }

// DeleteWorkload removes a workload, and nothing of what belongs to it.
func (tx *Tx) DeleteWorkload(id WorkloadID) { workloadTable.remove(tx, string(id)) }
