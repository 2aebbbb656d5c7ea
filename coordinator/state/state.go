// Package state holds the replicated objects in memory: immutable views for
// readers, one transaction at a time for the state machine, and a channel that
// says when to look again. It knows no Raft, no clock and no network.
package state

import (
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/hashicorp/go-memdb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Store holds every object of the replicated state. It is safe for concurrent
// use: any number of views beside one Update or Load.
type Store struct {
	// write admits one Update or Load at a time.
	write sync.Mutex

	// mu guards the fields below, which change together.
	mu      sync.RWMutex
	db      *memdb.MemDB
	index   uint64
	counts  map[Table]int
	changes changes
}

// New returns an empty store.
func New() *Store {
	return &Store{db: newDatabase(), counts: map[Table]int{}, changes: newChanges()}
}

// newDatabase cannot fail: the schema is the literal in tables.go, and a test
// walks it.
func newDatabase() *memdb.MemDB {
	db, err := memdb.NewMemDB(schema())
	if err != nil {
		panic(fmt.Sprintf("state: invalid schema: %v", err))
	}
	return db
}

// View returns an immutable snapshot of the present state. It is cheap, needs no
// release, and is safe for concurrent use.
func (s *Store) View() *View {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return &View{store: s, txn: s.db.Txn(false), index: s.index, counts: s.counts, version: s.changes.version}
}

// Update runs fn on a transaction whose writes carry index and at. When fn or one
// of its writes fails, nothing is written and the error is returned. Only the
// state machine calls it; index rises from call to call.
func (s *Store) Update(index uint64, at time.Time, fn func(*Tx) error) error {
	s.write.Lock()
	defer s.write.Unlock()

	tx := s.begin(index, at)
	defer tx.txn.Abort()
	if err := fn(tx); err != nil {
		return err
	}
	if tx.err != nil {
		return tx.err
	}
	s.commit(tx)
	return nil
}

func (s *Store) begin(index uint64, at time.Time) *Tx {
	view := s.View()
	view.txn = s.db.Txn(true)
	view.index = index
	view.counts = maps.Clone(view.counts)
	return &Tx{View: view, at: timestamppb.New(at), written: map[Table]bool{}}
}

func (s *Store) commit(tx *Tx) {
	s.mu.Lock()
	defer s.mu.Unlock()
	tx.txn.Commit()
	s.index = tx.index
	s.counts = tx.counts
	s.changes.publish(tx.written)
}

// replace swaps in a whole new content, which every view sees as a change of
// every table.
func (s *Store) replace(db *memdb.MemDB, index uint64, counts map[Table]int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.db = db
	s.index = index
	s.counts = counts
	s.changes.publishAll()
}
