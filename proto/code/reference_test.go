package code

import (
	"fmt"
	"strings"
	"testing"

	"github.com/runway-platform/runway/docs/docstest"
)

// parts are what the first digit of a code tells.
var parts = map[byte]string{
	'1': "Deployments and replicas", '2': "Placement", '3': "Images", '4': "Ingress, DNS and TLS",
	'5': "Nodes and runtime", '6': "Cluster, Raft and disk", '7': "Identity and rights", '8': "Manifests and requests",
}

func TestReference_IsTheTable(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	text.WriteString("# Error codes\n\nThe last line of a failure begins with a code, and events and `why` name it. A code never changes its meaning.\n" +
		"Its first digit tells the part.\n")
	var rows [][]string
	all := All()
	for i, e := range all {
		rows = append(rows, []string{"`" + string(e.Code) + "` " + e.Name, e.Sentence, e.Cause, e.Fix})
		if i+1 < len(all) && digit(all[i+1]) == digit(e) {
			continue
		}
		part, ok := parts[digit(e)]
		if !ok {
			t.Fatalf("%s: no part has this digit", e.Code)
		}
		fmt.Fprintf(&text, "\n## %c: %s\n\n%s", digit(e), part, docstest.Table([]string{"code", "what happened", "usual cause", "what to do"}, rows))
		rows = nil
	}
	docstest.Page(t, "reference/codes.md", text.String())
}

func digit(e Entry) byte { return strings.TrimPrefix(string(e.Code), "RW-")[0] }
