package docstest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
)

// A page that differs, or is not there, is stale, and the message says what to type.
func TestStale_SaysHowToMakeThePageAgain(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "reference")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "same.md"), []byte("text\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, is := range map[string]bool{"same.md": false, "absent.md": true} {
		if got := stale(filepath.Join(dir, name), "text\n"); (got != "") != is {
			t.Errorf("%s: %q, want a problem %t", name, got, is)
		}
	}
	got := stale(filepath.Join(dir, "same.md"), "other\n")
	for _, want := range []string{"docs/reference/same.md", "make docs", "text", "other"} {
		if !strings.Contains(got, want) {
			t.Errorf("the message does not say %q:\n%s", want, got)
		}
	}
}

func TestCommands_ShowsUsageExamplesAndFlags(t *testing.T) {
	t.Parallel()
	root := &cobra.Command{Use: "prog", Short: "Do things"}
	root.PersistentFlags().StringP("output", "o", "table", "`format` of the answer")
	noun := &cobra.Command{Use: "things", Short: "Things"}
	verb := &cobra.Command{
		Use: "make NAME", Short: "Make one", Long: "Makes a thing.", Example: "  prog things make a | less",
		Run: func(*cobra.Command, []string) {},
	}
	verb.Flags().Bool("now", false, "at once|later")
	hidden := &cobra.Command{Use: "secret", Short: "No", Hidden: true, Run: verb.Run}
	noun.AddCommand(verb, hidden)
	root.AddCommand(noun)
	got := Commands(root)
	for _, want := range []string{
		"# prog\n\nDo things.\n", "| `-o, --output` | format | `table` | format of the answer |",
		"## prog things\n\nThings.\n\n", "### prog things make\n\nMake one.\n\nMakes a thing.\n",
		"```\nprog things make NAME [flags]\n```\n", "```\nprog things make a | less\n```\n", `| ` + "`--now`" + ` |  |  | at once\|later |`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("there is no %q in:\n%s", want, got)
		}
	}
	if strings.Contains(got, "secret") {
		t.Errorf("a hidden command is shown:\n%s", got)
	}
}

// What has no value yet is on the page too, with the type that a scrape would show.
func TestMetrics_TellsNameTypeLabelsAndHelp(t *testing.T) {
	t.Parallel()
	m := NewMetrics()
	m.MustRegister(
		prometheus.NewCounterVec(prometheus.CounterOpts{Name: "a_total", Help: `Says "x", and more.`}, []string{"kind", "result"}),
		prometheus.NewGauge(prometheus.GaugeOpts{Name: "b", Help: "B.", ConstLabels: prometheus.Labels{"version": "1"}}),
		prometheus.NewHistogram(prometheus.HistogramOpts{Name: "c_seconds", Help: "C."}),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "d_total", Help: "D."}, func() float64 { return 0 }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "e", Help: "E."}, func() float64 { return 0 }),
	)
	want := Table([]string{"metric", "type", "labels", "meaning"}, [][]string{
		{"`a_total`", "counter", "kind, result", `Says "x", and more.`},
		{"`b`", "gauge", "version", "B."},
		{"`c_seconds`", "histogram", "", "C."},
		{"`d_total`", "counter", "", "D."},
		{"`e`", "gauge", "", "E."},
	})
	if got := m.Table(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestBlocks_AreThoseOfTheLanguage(t *testing.T) {
	t.Parallel()
	const text = "a\n```sh exit=2\nbin/prog make a | less\nother make b\n  prog make c\n```\n```yaml\nx: 1\n```\n```sh\n```\n"
	got := blocksOf("p.md", "sh", text)
	if len(got) != 2 || got[0].Page != "p.md" {
		t.Fatalf("blocks are %+v", got)
	}
	if commands := got[0].Commands("prog"); !slices.Equal(commands, []string{"make a | less", "make c"}) {
		t.Errorf("commands are %q", commands)
	}
}
