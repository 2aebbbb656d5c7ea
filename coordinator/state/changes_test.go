package state_test

import (
	"bytes"
	"fmt"
	"sync"
	"testing"

	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestChanged_wakesForItsTablesOnly(t *testing.T) {
	s := state.New()
	v := s.View()
	spaces, nodes, both, any := v.Changed(state.TableSpaces), v.Changed(state.TableNodes), v.Changed(state.TableNodes, state.TableSpaces), v.Changed()

	update(t, s, 1, func(tx *state.Tx) { tx.PutSpace(&runwayv1.Space{Name: "a"}) })

	if !closed(spaces) || !closed(both) || !closed(any) {
		t.Error("a write to spaces did not wake its waiters")
	}
	if closed(nodes) {
		t.Error("a write to spaces woke a waiter for nodes")
	}
	if !closed(v.Changed(state.TableSpaces)) {
		t.Error("a view from before the write waits for the next one")
	}
	if closed(s.View().Changed()) {
		t.Error("a new view is changed already")
	}
}

func TestChanged_notByWhatIsNotWritten(t *testing.T) {
	s := state.New()
	changed := s.View().Changed()
	update(t, s, 1, func(tx *state.Tx) { tx.DeleteSpace("absent") })
	err := s.Update(2, epoch, func(tx *state.Tx) error {
		tx.PutSpace(&runwayv1.Space{Name: "a"})
		return state.ErrKey
	})
	if err == nil || closed(changed) {
		t.Errorf("woken without a write (error %v)", err)
	}
}

func TestChanged_byLoad(t *testing.T) {
	s := state.New()
	var empty bytes.Buffer
	if err := s.View().Save(&empty); err != nil {
		t.Fatal(err)
	}
	changed := s.View().Changed(state.TableTokens)
	if err := s.Load(&empty); err != nil {
		t.Fatal(err)
	}
	if !closed(changed) {
		t.Error("not woken by a new content")
	}
}

// TestStore_concurrentReaders is for the race detector: views, waits and writes at
// the same time, and no wake-up missed.
func TestStore_concurrentReaders(t *testing.T) {
	const writes = 200
	s := state.New()
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				v := s.View()
				if got := len(v.Spaces()); got != v.Count(state.TableSpaces) || uint64(got) != v.Index() {
					t.Errorf("view at %d has %d spaces, counted %d", v.Index(), got, v.Count(state.TableSpaces))
				}
				if v.Index() == writes {
					return
				}
				<-v.Changed(state.TableSpaces)
			}
		})
	}
	for i := range writes {
		update(t, s, uint64(i+1), func(tx *state.Tx) { tx.PutSpace(&runwayv1.Space{Name: fmt.Sprintf("s%d", i)}) })
	}
	readers.Wait()
}
