package network

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A cut that failed is tried again by the next call, whatever that call changes, and not forgotten with the entry.
func TestOwed_FailedCutsAreMadeUpFor(t *testing.T) {
	t.Parallel()
	debt := owed[uint16, string]{}
	broken := errors.New("conntrack does not answer")
	var cuts []map[string]bool
	works := func(gone owed[uint16, string]) error {
		made := map[string]bool{}
		for e := range gone {
			made[e.value] = true
		}
		cuts = append(cuts, made)
		return nil
	}
	fails := func(owed[uint16, string]) error { return broken }
	old, next := map[uint16]string{1: "a", 2: "b", 3: "c"}, map[uint16]string{1: "a", 2: "x"}
	if err := debt.settle(old, next, fails); !errors.Is(err, broken) {
		t.Fatalf("failing cut: got %v", err)
	}
	if err := debt.settle(next, map[uint16]string{1: "a", 2: "y"}, fails); !errors.Is(err, broken) {
		t.Fatalf("failing cut: got %v", err)
	}
	again := map[uint16]string{1: "a", 2: "y", 3: "c"} // c is back: its connections are good ones
	if err := debt.settle(map[uint16]string{1: "a", 2: "y"}, again, works); err != nil {
		t.Fatal(err)
	}
	if err := debt.settle(again, again, works); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]map[string]bool{{"b": true, "x": true}}, cuts); diff != "" {
		t.Errorf("cuts (-want +got):\n%s", diff)
	}
}
