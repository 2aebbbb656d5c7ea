package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/runway-platform/runway/cli/clitest"
	yaml "go.yaml.in/yaml/v3"
)

// answers is each command that prints something, as it is typed. Those that a shell and
// not a program reads are not among them.
var answers = []string{
	"cluster status", "context list", "context show", "context use b",
	"delete gone -y", "deploy -f DIR", "deployments attach 01JNQ8Z3", "deployments cancel 01JNQ8Z3", "deployments list web",
	"deployments report 01JNQ8Z3", "deployments show 01JNQ8Z3", "doctor machine", "env diff staging production -f DIR", "events", "ingresses list", "init web --dir DIR/new", "ingresses rm ingress-2 -y", "logs web", "manifest render -f DIR", "manifest schema",
	"nodes cordon node-1", "nodes join-token", "nodes list", "nodes rm node-1 -y", "nodes uncordon node-1", "ps", "restart web",
	"revisions web", "rollback web", "routes accept ingress-2 -y", "scale web 6", "spaces create shop", "spaces delete gone -y",
	"spaces list", "spaces show shop", "status", "status web", "tokens create ci", "tokens list", "tokens revoke t3", "top", "validate -f DIR",
	"version", "why web",
}

// Programs get one document with known fields from every command, in both formats. The
// names inside objects of the API are held by the check for breaking changes of the
// proto; those of the documents around them by this list.
func TestFormats_FieldsAreStable(t *testing.T) {
	t.Parallel()
	var got bytes.Buffer
	for _, args := range answers {
		documents := runJSON(t, args)
		if diff := cmp.Diff(documents, runYAML(t, args)); diff != "" {
			t.Errorf("%s: YAML differs from JSON (-json +yaml):\n%s", args, diff)
		}
		if len(documents) == 0 {
			t.Fatalf("%s: no document", args)
		}
		fmt.Fprintf(&got, "%s: %s\n", args, fieldsOf(documents[0]))
	}
	const path = "testdata/json_fields.txt"
	if *update {
		if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", path, diff)
	}
}

// Every command that does something has a row.
func TestFormats_CoverEveryCommand(t *testing.T) {
	t.Parallel()
	covered := map[string]bool{}
	for _, args := range answers {
		found, _, err := newRoot().Find(strings.Fields(args))
		if err != nil {
			t.Fatalf("%s: %v", args, err)
		}
		covered[found.CommandPath()] = true
	}
	for _, c := range commandsOf(newRoot()) {
		forShells := strings.HasPrefix(c.CommandPath(), "runwayctl completion ") || c.Name() == "help"
		if !c.HasSubCommands() && !forShells && !covered[c.CommandPath()] {
			t.Errorf("%s: the fields of its answer are not in the list", c.CommandPath())
		}
	}
}

func answer(t *testing.T, args, format string) string {
	t.Helper()
	r := &run{fake: fullCluster(), args: args + " -o " + format, env: map[string]string{"TAG": "1"}, dir: folder(t, map[string]string{"runway.yml": webManifest})}
	if strings.HasPrefix(args, "context ") {
		r = configRun(t, r.args+" --config DIR/two.yml", nil)
	}
	o := r.do(t)
	if o.exit != 0 {
		t.Fatalf("%s: exit %d, %s", r.args, o.exit, o.stderr)
	}
	return o.stdout
}

func runJSON(t *testing.T, args string) []any {
	t.Helper()
	var all []any
	decoder := json.NewDecoder(strings.NewReader(answer(t, args, formatJSON)))
	decoder.UseNumber()
	for decoder.More() {
		var document any
		if err := decoder.Decode(&document); err != nil {
			t.Fatalf("%s: %v", args, err)
		}
		all = append(all, document)
	}
	return all
}

// runYAML returns what runJSON does: scalars as JSON has them.
func runYAML(t *testing.T, args string) []any {
	t.Helper()
	var all []any
	decoder := yaml.NewDecoder(strings.NewReader(answer(t, args, formatYAML)))
	for {
		var document any
		if err := decoder.Decode(&document); err != nil {
			return all
		}
		encoded, err := json.Marshal(document)
		if err != nil {
			t.Fatalf("%s: %v", args, err)
		}
		again := json.NewDecoder(bytes.NewReader(encoded))
		again.UseNumber()
		if err := again.Decode(&document); err != nil {
			t.Fatalf("%s: %v", args, err)
		}
		all = append(all, document)
	}
}

// fieldsOf names the fields of a document, or of the first of a list.
func fieldsOf(document any) string {
	switch d := document.(type) {
	case map[string]any:
		return strings.Join(slices.Sorted(maps.Keys(d)), " ")
	case []any:
		return "list of " + fieldsOf(d[0])
	}
	return fmt.Sprintf("%T", document)
}

// Rows of lists end at the edge of a terminal, and only there. Nothing else is cut.
func TestTables_FitTheTerminal(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		args     string
		terminal bool
		cut      bool
	}{
		"a list on a terminal":         {"status", true, true},
		"a list in a pipe":             {"status", false, false},
		"all of a list on a terminal":  {"status -o wide", true, false},
		"properties on a terminal":     {"status web", true, false},
		"an explanation on a terminal": {"why web", true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := fullCluster()
			f.AllServices[0].Urls = []string{"https://web.default.a-rather-long-name-of-a-domain.runway.localhost:8443/"}
			f.Reason.Summary = strings.Repeat("wide ", 20)
			o := (&run{fake: f, args: test.args, tty: test.terminal}).do(t)
			widest := 0
			for _, l := range strings.Split(o.stdout, "\n") {
				widest = max(widest, len([]rune(l)))
			}
			if cut := widest <= 72 && strings.Contains(o.stdout, "…\n"); cut != test.cut {
				t.Errorf("the widest of these lines has %d columns of 72, cut %v, want %v:\n%s", widest, cut, test.cut, o.stdout)
			}
		})
	}
}

func TestTables_WithoutHeaders(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]*run{
		"no_headers":         {fake: fullCluster(), args: "nodes list --no-headers"},
		"no_headers_cluster": {fake: fullCluster(), args: "cluster status", env: map[string]string{"RUNWAY_NO_HEADERS": "1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r.golden(t, name)
		})
	}
}

// A terminal that cannot be written over gets lines, as a file does.
func TestProgress_OnADumbTerminal(t *testing.T) {
	t.Parallel()
	dumb := deployRun(t)
	dumb.tty, dumb.env["TERM"] = true, "dumb"
	o := dumb.do(t)
	if o.exit != 0 || strings.ContainsAny(o.stderr, "\x1b\r") || !strings.Contains(o.stderr, "1 pulling") {
		t.Errorf("exit %d, stderr %q", o.exit, visible(o.stderr))
	}
}

// No command writes what steers a terminal into a file or a pipe.
func TestOutput_SteersNoPipe(t *testing.T) {
	t.Parallel()
	for _, args := range answers {
		r := &run{fake: fullCluster(), args: args + " -v", env: map[string]string{"TAG": "1"}, dir: folder(t, map[string]string{"runway.yml": webManifest}), expires: clitest.Now}
		if o := r.do(t); strings.ContainsAny(o.stdout+o.stderr, "\x1b\r") {
			t.Errorf("%s: stdout %q, stderr %q", args, o.stdout, o.stderr)
		}
	}
}
