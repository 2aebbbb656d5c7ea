package main

import (
	"log"
	"sync"
)

// ledgerMost bounds what a ledger remembers; it forgets everything then.
const ledgerMost = 100_000

// ledger is which requests were executed, of those that must not be twice. It is safe
// for concurrent use.
type ledger struct {
	mu  sync.Mutex
	ids map[string]bool
}

// first notes a request, in the log as well, where those of all replicas are found. It
// returns false for one that was executed before.
func (l *ledger) first(id string) bool {
	log.Print("executed ", id)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ids[id] {
		return false
	}
	if len(l.ids) >= ledgerMost {
		clear(l.ids)
	}
	l.ids[id] = true
	return true
}
