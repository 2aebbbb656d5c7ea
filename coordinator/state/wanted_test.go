package state_test

import (
	"testing"

	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

func TestSize(t *testing.T) {
	t.Parallel()
	const somebody = "alice"
	for _, row := range []struct {
		name               string
		writer             string
		count, least, most uint32
		want               int
	}{
		{"chosen", somebody, 3, 1, 10, 3},
		{"chosen below the bounds", somebody, 3, 5, 10, 5},
		{"chosen above the bounds", somebody, 12, 1, 10, 10},
		{"no upper bound", somebody, 12, 1, 0, 12},
		{"nothing", somebody, 0, 0, 0, 0},
		{"nobody chose, and an earlier revision had more", state.WriterManifest, 5, 2, 10, 2},
		{"nobody chose, and an earlier revision had fewer", state.WriterManifest, 1, 2, 10, 2},
	} {
		w := &runwayv1.Wanted{Count: row.count, Writer: row.writer}
		spec := &runwayv1.RevisionSpec{Scale: &runwayv1.ScalePolicy{Min: row.least, Max: row.most}}
		if got := state.Size(w, spec); got != row.want {
			t.Errorf("%s: got %d, want %d", row.name, got, row.want)
		}
	}
	if got := state.Size(&runwayv1.Wanted{Count: 3}, nil); got != 3 {
		t.Errorf("no revision: got %d, want 3", got)
	}
}
