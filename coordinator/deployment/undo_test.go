package deployment

import (
	"testing"

	"pgregory.net/rapid"
)

func TestUndo_Step(t *testing.T) {
	for _, row := range []struct {
		name   string
		region Region
		relief int
		want   Step
	}{
		{"nothing to go back to", Region{Wanted: 4, New: Set{3, 3}}, 0, Step{}},
		{"new ones that serve stay until old ones do", Region{Wanted: 4, Before: 4, New: Set{4, 3}, Old: Set{1, 1}}, 4, Step{New: 3, Old: 4}},
		{"new ones that do not serve go at once", Region{Wanted: 4, Before: 4, New: Set{1, 0}, Old: Set{4, 4}}, 4, Step{Old: 4}},
		{"one for one", Region{Wanted: 4, Before: 4, New: Set{3, 3}, Old: Set{4, 2}}, 4, Step{New: 2, Old: 4}},
		{"back to more and smaller ones", Region{Wanted: 2, Before: 8, New: Set{2, 2}, Old: Set{8, 5}}, 8, Step{New: 1, Old: 8}},
		{"a base that cannot be whole", Region{Wanted: 4, Before: 8, New: Set{2, 2}, Old: Set{3, 3}}, 3, Step{Old: 8}},
		{"a base that never served", Region{Wanted: 4, Before: 4, New: Set{2, 2}}, 0, Step{Old: 4}},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := undoStep(row.region, row.relief)
			if got.New != row.want.New || got.Old != row.want.Old {
				t.Errorf("%+v:\n got %+v\nwant %+v", row.region, got, row.want)
			}
		})
	}
}

// A base that serves as it did lets every new replica go, whole or not; until then none
// that is needed goes.
func TestUndo_AsksNoMoreThanThereWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		set := func(name string) Set {
			existing := rapid.IntRange(0, 30).Draw(t, name)
			return Set{existing, rapid.IntRange(0, existing).Draw(t, name+" serving")}
		}
		r := Region{Wanted: rapid.IntRange(1, 30).Draw(t, "wanted"), Before: rapid.IntRange(1, 30).Draw(t, "before"), New: set("new"), Old: set("old")}
		relief := rapid.IntRange(0, r.Before).Draw(t, "relief")
		step := undoStep(r, relief)
		enough := step.New*relief+r.Old.Serving*r.Wanted >= relief*r.Wanted
		switch {
		case step.Old != r.Before:
			t.Errorf("the base is brought to %d, want %d", step.Old, r.Before)
		case r.Old.Serving >= relief && step.New > 0:
			t.Errorf("%d new ones stay although %d of %d serve", step.New, r.Old.Serving, relief)
		case step.New < r.New.Serving && !enough:
			t.Errorf("%d of %d new ones stay while %d of %d serve", step.New, r.New.Serving, r.Old.Serving, relief)
		}
	})
}

func TestUndo_NeverServesTooLittleAndArrives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 30).Draw(t, "before")
		r := Region{Wanted: rapid.IntRange(1, 30).Draw(t, "wanted"), Before: size, Old: Set{size, size}}
		for range rapid.IntRange(0, 100).Draw(t, "rolled") {
			enact(t, &r, rollingStep(r))
		}
		for steps := 0; r.New.Existing > 0 || r.Old.Serving < r.Before; steps++ {
			if steps > 1000 {
				t.Fatalf("does not arrive: %+v", r)
			}
			step := undoStep(r, r.Before)
			enact(t, &r, step)
			if !whole(r) {
				t.Fatalf("serves too little: %+v after %+v", r, step)
			}
		}
	})
}
