package state_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

var (
	epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	web   = state.WorkloadID("shop/web/production")
)

func update(t *testing.T, s *state.Store, index uint64, fn func(tx *state.Tx)) {
	t.Helper()
	err := s.Update(index, epoch.Add(time.Duration(index)*time.Second), func(tx *state.Tx) error {
		fn(tx)
		return nil
	})
	if err != nil {
		t.Fatalf("Update(%d): %v", index, err)
	}
}

func TestUpdate_stampsMeta(t *testing.T) {
	s := state.New()
	update(t, s, 3, func(tx *state.Tx) { tx.PutSpace(&runwayv1.Space{Name: "shop"}) })
	update(t, s, 9, func(tx *state.Tx) { tx.PutSpace(state.Clone(tx.Space("shop"))) })

	meta := s.View().Space("shop").GetMeta()
	if meta.GetCreatedIndex() != 3 || meta.GetModifiedIndex() != 9 {
		t.Errorf("created %d, modified %d, want 3 and 9", meta.GetCreatedIndex(), meta.GetModifiedIndex())
	}
	if got, want := meta.GetCreatedAt().AsTime(), epoch.Add(3*time.Second); !got.Equal(want) {
		t.Errorf("created at %v, want %v", got, want)
	}
	if got, want := meta.GetModifiedAt().AsTime(), epoch.Add(9*time.Second); !got.Equal(want) {
		t.Errorf("modified at %v, want %v", got, want)
	}
	if got := s.View().Index(); got != 9 {
		t.Errorf("Index() = %d, want 9", got)
	}
}

func TestUpdate_errorWritesNothing(t *testing.T) {
	broken := errors.New("broken")
	tests := []struct {
		name string
		fn   func(*state.Tx) error
		want error
	}{
		{"of the function", func(tx *state.Tx) error { tx.PutSpace(&runwayv1.Space{Name: "b"}); return broken }, broken},
		{"empty key", func(tx *state.Tx) error { tx.PutSpace(&runwayv1.Space{}); return nil }, state.ErrKey},
		{"NUL in key", func(tx *state.Tx) error { tx.PutSpace(&runwayv1.Space{Name: "a\x00"}); return nil }, state.ErrKey},
		{"changed in place", func(tx *state.Tx) error {
			tx.PutSpace(&runwayv1.Space{Name: "b"})
			tx.PutSpace(tx.Space("a"))
			return nil
		}, state.ErrShared},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := state.New()
			update(t, s, 1, func(tx *state.Tx) { tx.PutSpace(&runwayv1.Space{Name: "a"}) })
			before := s.View()

			err := s.Update(2, epoch, test.fn)

			if !errors.Is(err, test.want) {
				t.Errorf("Update() = %v, want %v", err, test.want)
			}
			if diff := cmp.Diff(before.Spaces(), s.View().Spaces(), protocmp.Transform()); diff != "" {
				t.Errorf("spaces changed:\n%s", diff)
			}
			if s.View().Index() != 1 || s.View().Count(state.TableSpaces) != 1 {
				t.Errorf("index %d, count %d, want 1 and 1", s.View().Index(), s.View().Count(state.TableSpaces))
			}
		})
	}
}

func TestView_isImmutable(t *testing.T) {
	s := state.New()
	update(t, s, 1, func(tx *state.Tx) { tx.PutSpace(&runwayv1.Space{Name: "a"}) })
	before := s.View()
	update(t, s, 2, func(tx *state.Tx) {
		tx.DeleteSpace("a")
		tx.PutSpace(&runwayv1.Space{Name: "b"})
	})
	if before.Space("a") == nil || before.Space("b") != nil || before.Count(state.TableSpaces) != 1 {
		t.Errorf("an older view sees newer writes: %v", before.Spaces())
	}
	if now := s.View(); now.Space("a") != nil || now.Space("b") == nil || now.Count(state.TableSpaces) != 1 {
		t.Errorf("a new view misses writes: %v", now.Spaces())
	}
}

func TestTx_readsItsOwnWrites(t *testing.T) {
	update(t, state.New(), 1, func(tx *state.Tx) {
		tx.PutReplica(&runwayv1.Replica{Id: "r2", Workload: web.Key(), Plan: &runwayv1.ReplicaPlan{Node: "n1"}})
		tx.PutReplica(&runwayv1.Replica{Id: "r1", Workload: web.Key(), Plan: &runwayv1.ReplicaPlan{Node: "n1"}})
		got := tx.ReplicasOn("n1")
		if len(got) != 2 || got[0].GetId() != "r1" {
			t.Errorf("ReplicasOn(n1) = %v, want r1 and r2", got)
		}
	})
}

func TestView_absentObjectsAreNil(t *testing.T) {
	v := state.New().View()
	if v.Cluster() != nil || v.Space("x") != nil || v.Workload(web) != nil || v.Revision(web, 1) != nil ||
		v.Deployment("") != nil || v.Wanted(web, "local") != nil || v.Replica("x") != nil || v.Node("x") != nil ||
		v.NodeByName("x") != nil || v.Ingress("x") != nil || v.TokenByHash(nil) != nil || v.JoinToken("x") != nil {
		t.Error("an absent object is not nil")
	}
	if got := len(v.Events(10)) + len(v.EventsSince(0)) + len(v.Spaces()) + len(v.ReplicasOn("")); got != 0 {
		t.Errorf("an empty state lists %d objects", got)
	}
}

func TestWorkloadID_roundTrip(t *testing.T) {
	key := &runwayv1.WorkloadKey{Space: "shop", Service: "web", Environment: "production"}
	if got := state.IDOf(key); got != web {
		t.Errorf("IDOf() = %q, want %q", got, web)
	}
	if diff := cmp.Diff(key, web.Key(), protocmp.Transform()); diff != "" {
		t.Errorf("Key():\n%s", diff)
	}
	if got := state.IDOf(nil); got != "" {
		t.Errorf("IDOf(nil) = %q, want nothing", got)
	}
}
