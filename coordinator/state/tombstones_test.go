package state_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

func deleted(n int) *runwayv1.WorkloadKey {
	return &runwayv1.WorkloadKey{Space: "shop", Service: fmt.Sprintf("s%d", n), Environment: "production"}
}

func TestTombstones_AreBoundedAndTheOldestGo(t *testing.T) {
	s := state.New()
	const extra = 25
	for i := range state.TombstonesKept + extra {
		put(t, s, uint64(i+1), time.Unix(int64(i), 0), func(tx *state.Tx) {
			tx.PutDeletedWorkload(deleted(i))
			tx.PutRemovedMachine(fmt.Sprintf("n%d", i))
		})
	}
	v := s.View()
	if got := v.Count(state.TableDeletedWorkloads); got != state.TombstonesKept || len(v.DeletedWorkloads()) != got {
		t.Errorf("%d deleted workloads are kept, want %d", got, state.TombstonesKept)
	}
	for i, want := range map[int]bool{0: false, extra - 1: false, extra: true, state.TombstonesKept + extra - 1: true} {
		if got := v.RemovedMachine(fmt.Sprintf("n%d", i)) != nil; got != want {
			t.Errorf("machine %d is kept: %v, want %v", i, got, want)
		}
	}
}

func TestTombstones_AreForgottenInTimeAndWithTheReturn(t *testing.T) {
	s := state.New()
	day := 24 * time.Hour
	at := func(index uint64, after time.Duration, do func(*state.Tx)) {
		put(t, s, index, time.Unix(0, 0).Add(after), do)
	}
	at(1, 0, func(tx *state.Tx) { tx.PutDeletedWorkload(deleted(1)); tx.PutRemovedMachine("n1") })
	at(2, 20*day, func(tx *state.Tx) { tx.PutDeletedWorkload(deleted(2)) })
	at(3, 29*day, func(tx *state.Tx) { tx.PutDeletedWorkload(deleted(3)) })
	if got := len(s.View().DeletedWorkloads()); got != 3 {
		t.Errorf("%d are kept within 30 days, want 3", got)
	}
	at(4, 31*day, func(tx *state.Tx) { tx.PutDeletedWorkload(deleted(2)) }) // deleted again: as old as that
	at(5, 50*day, func(tx *state.Tx) { tx.PutRemovedMachine("n2") })
	if got := len(s.View().DeletedWorkloads()); got != 2 || s.View().RemovedMachine("n1") == nil {
		t.Errorf("%d are kept, want 2; n1 kept within 60 days: %v", got, s.View().RemovedMachine("n1") != nil)
	}
	at(6, 60*day, func(tx *state.Tx) { tx.PutDeletedWorkload(deleted(4)); tx.PutRemovedMachine("n3") })
	if got := len(s.View().DeletedWorkloads()); got != 2 || s.View().RemovedMachine("n1") != nil {
		t.Errorf("%d are kept after 60 days, want 2; n1 kept: %v", got, s.View().RemovedMachine("n1") != nil)
	}
	at(7, 60*day, func(tx *state.Tx) { tx.DeleteDeletedWorkload(state.IDOf(deleted(4))) })
	if got := len(s.View().DeletedWorkloads()); got != 1 {
		t.Errorf("%d are kept after one is there again, want 1", got)
	}
}

func put(t *testing.T, s *state.Store, index uint64, at time.Time, do func(*state.Tx)) {
	t.Helper()
	if err := s.Update(index, at, func(tx *state.Tx) error { do(tx); return nil }); err != nil {
		t.Fatal(err)
	}
}
