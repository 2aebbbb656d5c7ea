package state

import runwayv1 "github.com/runway-platform/runway/proto/runway/v1"

var spaceTable = table[*runwayv1.Space]{
	name: TableSpaces,
	key:  (*runwayv1.Space).GetName,
}

// Space returns a space by name.
func (v *View) Space(name string) *runwayv1.Space { return spaceTable.get(v, name) }

// Spaces returns every space.
func (v *View) Spaces() []*runwayv1.Space { return spaceTable.all(v) }

// PutSpace writes a space.
func (tx *Tx) PutSpace(space *runwayv1.Space) { spaceTable.put(tx, space) }

// DeleteSpace removes a space.
func (tx *Tx) DeleteSpace(name string) { spaceTable.remove(tx, name) }
