package manifest

import (
	"fmt"
	"strings"
	"testing"
)

// variables are n variables of a name, one a line, each with a value of some bytes.
func variables(indent, name string, n, bytes int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%s%s%d: \"%s\"\n", indent, name, i, strings.Repeat("x", bytes))
	}
	return b.String()
}

// What the coordinator would refuse of all variables together is refused before.
func TestLoad_LimitsWhatAllFilesSayTogether(t *testing.T) {
	t.Parallel()
	const half = 60 << 10
	withEnvironment := func(text string) string { return head + "spec:\n  environment:\n" + text }
	for _, test := range []struct{ name, manifest, env, want string }{
		{"as many as there may be", withEnvironment(variables("    ", "A", 300, 0)), variables("", "B", 200, 0), ""},
		{"the same in both", withEnvironment(variables("    ", "A", 500, 0)), variables("", "A", 500, 0), ""},
		{
			"one more than there may be", withEnvironment(variables("    ", "A", 300, 0)), variables("", "B", 201, 0),
			"DIR/env-production.yml: RW-8106 the service has 501 variables, more than 500; keep data in the image or in a file of its own",
		},
		{"as much as there may be", withEnvironment(variables("    ", "A", 2, half)), variables("", "B", 1, maxVariableBytes-2*half-6), ""},
		{
			"one byte more than there may be", withEnvironment(variables("    ", "A", 2, half)), variables("", "B", 1, maxVariableBytes-2*half-5),
			"DIR/env-production.yml: RW-8106 the variables of the service have 131073 bytes, more than 131072; keep data in the image or in a file of its own",
		},
		{
			"repeated by reference", withEnvironment("    A: &a \"" + strings.Repeat("x", half) + "\"\n    B: *a\n    C: *a\n"), "",
			"DIR/runway.yml: RW-8106 the variables of the service have 184323 bytes, more than 131072; keep data in the image or in a file of its own",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			files := map[string]string{"runway.yml": test.manifest}
			if test.env != "" {
				files["env-production.yml"] = test.env
			}
			dir := tree(t, files)
			_, err := Load(Source{Path: dir, Environment: "production"})
			got := ""
			if err != nil {
				got = strings.ReplaceAll(err.Error(), dir, "DIR")
			}
			if got != test.want {
				t.Errorf("load\n got %s\nwant %s", got, test.want)
			}
		})
	}
}

// Base and overlay are one manifest, also where something is counted.
func TestLoad_CountsLabelsOfMergedFilesTogether(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{
		"runway.yml":            head + "  labels:\n" + variables("    ", "a", 30, 1),
		"runway-production.yml": "extends: base\nmetadata:\n  labels:\n" + variables("    ", "b", 21, 1),
	})
	_, err := Load(Source{Path: dir, Environment: "production"})
	want := "DIR/runway-production.yml:4:5: RW-8005 metadata.labels: 51 entries, more than 50; remove 1 of them"
	if err == nil || strings.ReplaceAll(err.Error(), dir, "DIR") != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// A manifest is one for whatever environment, and only where Load looks.
func TestExisting(t *testing.T) {
	t.Parallel()
	for file, found := range map[string]bool{
		"runway.yml": true, "runway-staging.yml": true, "runway.yaml": true, "eks-service-staging.yaml": true, "default-values.yml": true,
		".runway/runway.yml": true, ".runway/gke-service-production.yml": true, ".runway/web/default-values.yaml": true,
		"env-staging.yml": false, ".runway/env-staging.yml": false, ".runway/other.yml": false, ".runway/a/b/runway.yml": false,
		"runway.yml/notes": false, ".runway/runway-schema.json": false,
	} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			dir := tree(t, map[string]string{"a[b]/" + file: head}) + "/a[b]"
			want := ""
			if found {
				want = dir + "/" + file
			}
			if got, err := Existing(dir); err != nil || got != want {
				t.Errorf("got %q and %v, want %q", got, err, want)
			}
		})
	}
	if got, err := Existing(t.TempDir() + "/absent"); err != nil || got != "" {
		t.Errorf("a folder that is not there: %q and %v", got, err)
	}
	dir := tree(t, map[string]string{".runway": "a file"})
	if _, err := Existing(dir); err == nil {
		t.Error(".runway is a file, and nothing was said")
	}
}
