// Package code is the one table of everything that Runway can say went wrong:
// a stable code, a sentence, its usual cause and what to do. Errors, events,
// reference pages and the command line are made from it. It holds no behaviour.
package code

// Code is a stable identifier such as RW-1203. Codes are never reused.
type Code string

// Entry explains one code.
type Entry struct {
	Code Code
	// Name is a short constant for machines, in snake case.
	Name string
	// Sentence says what happened, without the facts of a case.
	Sentence string
	// Cause says what it usually comes from.
	Cause string
	// Fix says what to do.
	Fix string
}

// Lookup returns the entry of c, and whether there is one.
func Lookup(c Code) (Entry, bool) {
	for _, e := range table {
		if e.Code == c {
			return e, true
		}
	}
	return Entry{}, false
}

// Fix returns what to do about c, or an empty string for an unknown code.
func (c Code) Fix() string {
	e, _ := Lookup(c)
	return e.Fix
}

// All returns every entry in the order of the codes.
func All() []Entry { return append([]Entry(nil), table...) }
