package cli

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/runway-platform/runway/cli/clitest"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// A wait that something stands in the way of ends with its cause, soon; one that only
// takes long ends later, with a code of its own. Both say that it goes on: exit 6.
func TestUntil_EndsWithWhatStandsInTheWay(t *testing.T) {
	t.Parallel()
	full := &runwayv1.Cause{Code: string(code.SpaceNotReady), Summary: "make network: no addresses left", Fix: "free some", Evidence: []string{"10.0.0.0/8 is used up"}}
	for _, test := range []struct {
		name, args string
		cause      *runwayv1.Cause
		want       string
	}{
		{"create", "spaces create shop", full, "space shop is being made: make network: no addresses left\n" +
			"evidence:\n  10.0.0.0/8 is used up\nfix: free some\nRW-8105 space shop is being made: make network: no addresses left\n"},
		{"delete", "spaces delete shop -y", full, "fix: free some\nRW-8105 space shop is being deleted: make network: no addresses left\n"},
		{"long", "spaces create shop", nil, "RW-8111 still waiting after 3m0s: space shop is being made\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := &clitest.Fake{AllSpaces: []*runwayv1.Space{{Name: "shop", Status: &runwayv1.SpaceStatus{Phase: runwayv1.SpacePhase_SPACE_PHASE_PROVISIONING, Cause: test.cause}}}}
				o := (&run{fake: f, args: test.args}).do(t)
				if o.exit != exitStillRunning || !strings.HasSuffix(o.stderr, test.want) {
					t.Errorf("exit %d, stderr %q, want exit %d, %q", o.exit, o.stderr, exitStillRunning, test.want)
				}
			})
		})
	}
}
