package state_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"google.golang.org/protobuf/encoding/protodelim"

	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// full returns a state with an object in every table.
func full(t *testing.T) *state.Store {
	t.Helper()
	s := state.New()
	update(t, s, 7, func(tx *state.Tx) {
		tx.PutCluster(&runwayv1.Cluster{Id: "test"})
		tx.PutSpace(&runwayv1.Space{Name: "shop"})
		tx.PutWorkload(&runwayv1.Workload{Key: web.Key()})
		tx.PutRevision(&runwayv1.Revision{Workload: web.Key(), Number: 1, Spec: &runwayv1.RevisionSpec{
			Env: map[string]string{"A": "1", "B": "2", "C": "3", "D": "4", "E": "5"},
		}})
		tx.PutDeployment(&runwayv1.Deployment{Id: "d1", Workload: web.Key()})
		tx.PutWanted(&runwayv1.Wanted{Workload: web.Key(), Region: "local", Count: 2})
		tx.PutReplica(&runwayv1.Replica{Id: "r1", Workload: web.Key(), Plan: &runwayv1.ReplicaPlan{Node: "n1"}})
		tx.PutNode(&runwayv1.Node{Id: "n1", Name: "one"})
		tx.PutIngress(&runwayv1.Ingress{Id: "i1"})
		tx.PutToken(&runwayv1.Token{Id: "t1", Hash: []byte("hash")})
		tx.PutJoinToken(&runwayv1.JoinToken{Id: "j1", Hash: []byte("join")})
		tx.PutEvent(&runwayv1.Event{Kind: "test"})
		tx.PutDeletedWorkload(&runwayv1.WorkloadKey{Space: "shop", Service: "old", Environment: "production"})
		tx.PutRemovedMachine("n0")
	})
	return s
}

func save(t testing.TB, s *state.Store) []byte {
	t.Helper()
	var content bytes.Buffer
	if err := s.View().Save(&content); err != nil {
		t.Fatalf("Save: %v", err)
	}
	return content.Bytes()
}

func TestSnapshot_roundTripOfEveryTable(t *testing.T) {
	s := full(t)
	for _, table := range state.Tables() {
		if s.View().Count(table) != 1 {
			t.Errorf("the test has no object in table %q", table)
		}
	}
	first := save(t, s)
	loaded := state.New()
	if err := loaded.Load(bytes.NewReader(first)); err != nil {
		t.Fatalf("Load: %v", err)
	}
	if !bytes.Equal(first, save(t, loaded)) {
		t.Error("the loaded state has another snapshot")
	}
	v := loaded.View()
	if v.Index() != 7 || v.NodeByName("one") == nil || v.TokenByHash([]byte("hash")) == nil ||
		v.JoinTokenByHash([]byte("join")) == nil || len(v.ReplicasOn("n1")) != 1 || len(v.WorkloadsIn("shop")) != 1 ||
		len(v.ReplicasOf(web)) != 1 || len(v.WantedOf(web)) != 1 || v.Count(state.TableEvents) != 1 {
		t.Error("the loaded state is not found by its indexes")
	}
}

func TestLoad_refusesAndKeepsTheState(t *testing.T) {
	intact := save(t, full(t))
	tests := []struct {
		name    string
		content []byte
		want    error
	}{
		{"empty", nil, state.ErrSnapshotCorrupt},
		{"longer", append(bytes.Clone(intact), 0), state.ErrSnapshotCorrupt},
		{"not a snapshot", bytes.Repeat([]byte("text\n"), 100), state.ErrSnapshotCorrupt},
		{"newer format", header(t, &runwayv1.SnapshotHeader{Format: 2}), state.ErrSnapshotFormat},
	}
	for cut := 1; cut < len(intact); cut += 37 {
		tests = append(tests, struct {
			name    string
			content []byte
			want    error
		}{fmt.Sprintf("cut by %d", cut), intact[:len(intact)-cut], state.ErrSnapshotCorrupt})
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := full(t)
			if err := s.Load(bytes.NewReader(test.content)); !errors.Is(err, test.want) {
				t.Errorf("Load() = %v, want %v", err, test.want)
			}
			if !bytes.Equal(intact, save(t, s)) {
				t.Error("a refused snapshot changed the state")
			}
		})
	}
}

func TestLoad_noticesEveryBit(t *testing.T) {
	intact := save(t, full(t))
	const trailer = 16 // the record that nothing sums up: all its bits
	for bit := range 8 * len(intact) {
		if at := bit / 8; at < len(intact)-trailer && bit%8 != at%8 {
			continue
		}
		damaged := bytes.Clone(intact)
		damaged[bit/8] ^= 1 << (bit % 8)
		if err := state.New().Load(bytes.NewReader(damaged)); err == nil {
			t.Fatalf("flipped bit %d of byte %d was not noticed", bit%8, bit/8)
		}
	}
}

func header(t *testing.T, h *runwayv1.SnapshotHeader) []byte {
	t.Helper()
	var content bytes.Buffer
	if _, err := protodelim.MarshalTo(&content, h); err != nil {
		t.Fatal(err)
	}
	return content.Bytes()
}

// FuzzLoad: no file makes Load panic, exhaust memory or change the state when it
// is refused.
func FuzzLoad(f *testing.F) {
	s := state.New()
	if err := s.Update(1, epoch, func(tx *state.Tx) error { tx.PutSpace(&runwayv1.Space{Name: "a"}); return nil }); err != nil {
		f.Fatal(err)
	}
	f.Add(save(f, s))
	f.Add([]byte{0})
	f.Fuzz(func(t *testing.T, content []byte) {
		s := state.New()
		if err := s.Load(bytes.NewReader(content)); err != nil && s.View().Index() != 0 {
			t.Error("a refused snapshot changed the state")
		}
	})
}
