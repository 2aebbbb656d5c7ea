package state

import "github.com/hashicorp/go-memdb"

// View is an immutable snapshot of the state, safe for concurrent use. Objects
// read from it are shared: clone one before changing it. Slices are sorted by the
// key of their table and belong to the caller; absent objects are nil.
type View struct {
	store   *Store
	txn     *memdb.Txn
	index   uint64
	counts  map[Table]int
	version uint64
}

// Index returns the Raft index of the last command that the view contains.
func (v *View) Index() uint64 { return v.index }

// Count returns the number of objects in a table without visiting them.
func (v *View) Count(table Table) int { return v.counts[table] }
