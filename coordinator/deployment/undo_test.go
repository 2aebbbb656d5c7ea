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
