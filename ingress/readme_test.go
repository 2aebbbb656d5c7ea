package ingress

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestReadme_ListsEveryMetric(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for line := range strings.Lines(string(readme)) {
		if rest, ok := strings.CutPrefix(line, "| `runway_ingress_"); ok {
			name, _, _ := strings.Cut(rest, "`")
			documented = append(documented, "runway_ingress_"+name)
		}
	}
	descs := make(chan *prometheus.Desc, 100)
	newMetrics(nil).Describe(descs)
	close(descs)
	var exported []string
	for d := range descs {
		_, rest, _ := strings.Cut(d.String(), `fqName: "`)
		name, _, _ := strings.Cut(rest, `"`)
		exported = append(exported, name)
	}
	slices.Sort(documented)
	slices.Sort(exported)
	if !slices.Equal(documented, exported) {
		t.Errorf("README lists %v, exported are %v", documented, exported)
	}
}
