package state

// changes remembers when each table was written last, and who waits for the next
// write. Waiters of the same set of tables share a channel, so that their number
// is bounded by the number of different sets and not by that of calls.
type changes struct {
	version uint64
	written map[Table]uint64
	waiting map[tableSet]chan struct{}
}

// tableSet has one bit per table.
type tableSet uint32

func newChanges() changes {
	return changes{written: map[Table]uint64{}, waiting: map[tableSet]chan struct{}{}}
}

// Changed returns a channel that is closed at the first write to one of the
// tables after this view was taken; without tables, at the first write to any.
func (v *View) Changed(tables ...Table) <-chan struct{} {
	if len(tables) == 0 {
		tables = Tables()
	}
	v.store.mu.Lock()
	defer v.store.mu.Unlock()
	return v.store.changes.after(v.version, tables)
}

func (c *changes) after(version uint64, tables []Table) <-chan struct{} {
	for _, table := range tables {
		if c.written[table] > version {
			return closedChannel()
		}
	}
	set := setOf(tables)
	if c.waiting[set] == nil {
		c.waiting[set] = make(chan struct{})
	}
	return c.waiting[set]
}

// publish wakes whoever waits for one of the written tables.
func (c *changes) publish(written map[Table]bool) {
	c.version++
	var dirty tableSet
	for table := range written {
		c.written[table] = c.version
		dirty |= bits[table]
	}
	for set, waiting := range c.waiting {
		if set&dirty != 0 {
			close(waiting)
			delete(c.waiting, set)
		}
	}
}

func (c *changes) publishAll() {
	written := map[Table]bool{}
	for _, table := range Tables() {
		written[table] = true
	}
	c.publish(written)
}

func setOf(tables []Table) tableSet {
	var set tableSet
	for _, table := range tables {
		set |= bits[table]
	}
	return set
}

func closedChannel() <-chan struct{} {
	closed := make(chan struct{})
	close(closed)
	return closed
}
