package containerd

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runway-platform/runway/agent/runtime"
)

// A survey must know of every change that touches it: one that is older, one that is younger, and one that fits inside.
func TestChanges_SurveySeesAllThatTouchIt(t *testing.T) {
	t.Parallel()
	changes := newChanges()
	changes.begin("before")()
	endOlder := changes.begin("older")
	survey := changes.beginSurvey()
	endOlder()
	changes.begin("inside")()
	endYounger := changes.begin("younger")
	got := changes.endSurvey(survey)
	endYounger()
	changes.begin("after")()

	want := map[runtime.ContainerID]bool{"older": true, "inside": true, "younger": true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("changes seen (-want +got):\n%s", diff)
	}
	if len(changes.underway) > 0 || len(changes.surveys) > 0 {
		t.Errorf("left: %d changes, %d surveys", len(changes.underway), len(changes.surveys))
	}
}

// Create deletes what it could not finish, so changes of one container may nest.
func TestChanges_Nest(t *testing.T) {
	t.Parallel()
	changes := newChanges()
	endOuter := changes.begin("web-1")
	changes.begin("web-1")()
	if got := changes.endSurvey(changes.beginSurvey()); !got["web-1"] {
		t.Error("the inner end hid the outer change")
	}
	endOuter()
	if got := changes.endSurvey(changes.beginSurvey()); len(got) > 0 {
		t.Errorf("after the end: got %v, want none", got)
	}
}
