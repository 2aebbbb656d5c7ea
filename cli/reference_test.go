package cli

import (
	"testing"

	"github.com/runway-platform/runway/docs/docstest"
)

func TestReference_IsWhatTheCommandsSay(t *testing.T) {
	t.Parallel()
	docstest.Page(t, "reference/runwayctl.md", docstest.Commands(newRoot()))
}
