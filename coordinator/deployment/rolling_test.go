package deployment

import (
	"testing"

	"pgregory.net/rapid"
)

func TestRolling_Step(t *testing.T) {
	for _, row := range []struct {
		name   string
		region Region
		want   Step
	}{
		{"first deployment starts all at once", Region{Wanted: 4}, Step{New: 4}},
		{"a quarter more at first", Region{Wanted: 8, Before: 8, Old: Set{8, 8}}, Step{New: 2, Old: 8}},
		{"one more at least", Region{Wanted: 1, Before: 1, Old: Set{1, 1}}, Step{New: 1, Old: 1}},
		{"nothing goes before a new one serves", Region{Wanted: 4, Before: 4, New: Set{1, 0}, Old: Set{4, 4}}, Step{New: 1, Old: 4}},
		{"one for one", Region{Wanted: 4, Before: 4, New: Set{1, 1}, Old: Set{4, 4}}, Step{New: 2, Old: 3}},
		{"a new one that stops serving keeps its place", Region{Wanted: 4, Before: 4, New: Set{3, 2}, Old: Set{2, 2}}, Step{New: 3, Old: 2}},
		{"a lost old one is replaced by a new one", Region{Wanted: 4, Before: 4, New: Set{1, 0}, Old: Set{2, 2}}, Step{New: 3, Old: 2}},
		{"all old ones are lost", Region{Wanted: 4, Before: 4, New: Set{1, 0}}, Step{New: 4}},
		{"the last old one goes when all new ones serve", Region{Wanted: 4, Before: 4, New: Set{4, 4}, Old: Set{1, 1}}, Step{New: 4}},
		{"fewer and larger ones take the place of their share", Region{Wanted: 2, Before: 8, New: Set{1, 1}, Old: Set{8, 8}}, Step{New: 2, Old: 4}},
		{"more than there were", Region{Wanted: 8, Before: 8, Old: Set{3, 3}}, Step{New: 7, Old: 3}},
		{"nothing is wanted", Region{Before: 2, Old: Set{2, 2}}, Step{}},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := Rolling{}.Plan(View{Regions: []Region{row.region}})
			if len(got) != 1 || got[0].New != row.want.New || got[0].Old != row.want.Old {
				t.Errorf("%+v:\n got %+v\nwant %+v", row.region, got, row.want)
			}
		})
	}
}

// enact plays placement and the machines: one thing happens of what the step allows.
func enact(t *rapid.T, r *Region, step Step) {
	if r.New.Existing > step.New {
		gone := r.New.Existing - step.New
		r.New.Existing -= gone
		r.New.Serving = min(r.New.Serving, r.New.Existing) // what does not serve goes first
	}
	if r.Old.Existing > step.Old {
		r.Old.Existing = step.Old
		r.Old.Serving = min(r.Old.Serving, r.Old.Existing)
	}
	var possible []func()
	if r.New.Existing < step.New {
		possible = append(possible, func() { r.New.Existing++ })
	}
	if r.New.Serving < r.New.Existing {
		possible = append(possible, func() { r.New.Serving++ })
	}
	if r.Old.Existing < step.Old {
		possible = append(possible, func() { r.Old.Existing++ })
	}
	if r.Old.Serving < r.Old.Existing {
		possible = append(possible, func() { r.Old.Serving++ })
	}
	if len(possible) > 0 {
		possible[rapid.IntRange(0, len(possible)-1).Draw(t, "next")]()
	}
}

// whole tells whether what serves is as much as the workload needs, where each set
// counts by its own size.
func whole(r Region) bool {
	return r.New.Serving*r.Before+r.Old.Serving*r.Wanted >= r.Wanted*r.Before
}

func TestRolling_NeverServesTooLittleAndArrives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 30).Draw(t, "before")
		r := Region{Wanted: rapid.IntRange(1, 30).Draw(t, "wanted"), Before: size, Old: Set{size, size}}
		most := max(r.Wanted, r.Before) + surge(r.Wanted) + r.Wanted
		for steps := 0; r.Old.Existing > 0 || r.New.Serving < r.Wanted; steps++ {
			if steps > 1000 {
				t.Fatalf("does not arrive: %+v", r)
			}
			step := rollingStep(r)
			enact(t, &r, step)
			if !whole(r) {
				t.Fatalf("serves too little: %+v after %+v", r, step)
			}
			if r.New.Existing+r.Old.Existing > most {
				t.Fatalf("more replicas than %d: %+v", most, r)
			}
		}
	})
}

func TestLookup(t *testing.T) {
	if s, err := Lookup(""); err != nil || s != (Rolling{}) {
		t.Errorf("no name: got %v, %v, want rolling", s, err)
	}
	_, err := Lookup("blue")
	if want := `there is no strategy "blue": choose one of rolling`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
