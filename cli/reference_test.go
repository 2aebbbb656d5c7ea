package cli

import (
	"testing"

	"github.com/runway-platform/runway/docs/docstest"
)

func TestReference_IsWhatTheCommandsSay(t *testing.T) {
	t.Parallel()
	docstest.Page(t, "reference/runwayctl.md", docstest.Commands(newRoot()))
}

// Every command line in the pages that people write is one that the present flags and
// arguments accept.
func TestDocs_CommandLinesParse(t *testing.T) {
	t.Parallel()
	checked := 0
	for _, block := range docstest.Blocks(t, "sh") {
		for _, line := range block.Commands("runwayctl") {
			checked++
			t.Run(block.Page+" "+line, func(t *testing.T) { checkExample(t, newRoot(), words(line)) })
		}
	}
	if checked < 30 {
		t.Errorf("only %d command lines were found", checked)
	}
}
