package manifest

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const baseManifest = `apiVersion: runway/v1
kind: RunwayService
metadata:
  name: web
  department: Engineering
spec:
  container_port: 9000
  scalability: {min_instances: 3, max_instances: 9}
  startup_probe: {path: /ready, period_seconds: 4}
`

// A file that extends the base says only what differs; every other file stands alone.
func TestLoad_MergesOverTheBaseOnlyWhenAsked(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, overlay string
		port          uint32
		min, max      uint32
		path          string
		department    string
	}{
		{"extends", "extends: base\nspec:\n  scalability: {min_instances: 1}\n  startup_probe: {path: /up}\n", 9000, 1, 9, "/up", "Engineering"},
		{"extends with a head", "apiVersion: runway/v1\nkind: RunwayService\nextends: base\nmetadata: {department: Sales}\n", 9000, 3, 9, "/ready", "Sales"},
		{"replaces", head + "spec:\n  scalability: {min_instances: 1}\n", 8080, 1, 100, "/", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := tree(t, map[string]string{".runway/runway.yml": baseManifest, ".runway/runway-staging.yml": test.overlay})
			m, err := Load(Source{Path: dir, Environment: "staging"})
			if err != nil {
				t.Fatal(err)
			}
			spec := m.Spec
			if spec.GetContainerPort() != test.port || spec.GetScale().GetMin() != test.min || spec.GetScale().GetMax() != test.max ||
				spec.GetStartupProbe().GetPath() != test.path || spec.GetLabels()["department"] != test.department {
				t.Errorf("got %v, want %+v", spec, test)
			}
			if merged := strings.Contains(test.overlay, "extends"); merged != slices.Contains(m.Files, filepath.Join(dir, ".runway/runway.yml")) {
				t.Errorf("files %v", m.Files)
			}
		})
	}
}

// Each file is named with what is wrong in it, also when both together are wrong.
func TestLoad_PlacesProblemsOfMergedFiles(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, base, overlay, want string }{
		{
			"one in each", baseManifest + "  foo: 1\n", "extends: base\nspec:\n  container_port: 0\n",
			"DIR/runway.yml:10:3: RW-8003 unknown field spec.foo; fields here are image, command, environment, container_port, request_timeout, request_based_billing, resources, scalability, startup_probe, liveness_probe, readiness_probe, load_balancing\n" +
				"DIR/runway-staging.yml:3:19: RW-8005 spec.container_port is the number 0; write a whole number from 1 to 65535, without quotes",
		},
		{
			"only together", baseManifest, "extends: base\nspec:\n  scalability: {max_instances: 2}\n",
			"DIR/runway-staging.yml:3:32: RW-8005 spec.scalability.max_instances 2 is below min_instances 3; raise max_instances or lower min_instances",
		},
		{
			"no base", "", "kind: RunwayService\nextends: base\n",
			"DIR/runway-staging.yml:2:1: RW-8005 extends: there is no DIR/runway.yml; write it, or remove extends so that this file stands alone",
		},
		{
			"base extends", "extends: base\n" + baseManifest, "extends: base\n",
			"DIR/runway.yml:1:1: RW-8005 extends: it is the base of DIR/runway-staging.yml; remove extends",
		},
		{
			"other value", baseManifest, "extends: runway.yml\n",
			"DIR/runway-staging.yml:1:10: RW-8005 extends is the string \"runway.yml\"; write base",
		},
		{
			"base of another kind", strings.Replace(baseManifest, "RunwayService", "Deployment", 1), "extends: base\n",
			"DIR/runway.yml:2:7: RW-8005 kind is \"Deployment\"; write RunwayService",
		},
		{
			"base of a kind that merges with another", "kind: RunwayKubernetesService\nmetadata:\n  name: web\n", "extends: base\n",
			"DIR/runway-staging.yml:1:1: RW-8005 kind RunwayService is merged over kind RunwayKubernetesService of DIR/runway.yml; write the kinds that belong together",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			files := map[string]string{"runway-staging.yml": test.overlay}
			if test.base != "" {
				files["runway.yml"] = test.base
			}
			dir := tree(t, files)
			_, err := Load(Source{Path: dir, Environment: "staging"})
			if err == nil || strings.ReplaceAll(err.Error(), dir, "DIR") != test.want {
				t.Errorf("load\n got %v\nwant %s", err, test.want)
			}
		})
	}
}

func TestLoad_RefusesABaseThatExtendsItself(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{"runway.yml": "extends: base\n" + head})
	_, err := Load(Source{Path: dir, Environment: "production"})
	want := "DIR/runway.yml:1:1: RW-8005 extends: runway.yml cannot extend itself; remove extends"
	if err == nil || strings.ReplaceAll(err.Error(), dir, "DIR") != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// Every version has the same fields; the oldest one is told that it is old.
func TestParse_ReadsEveryVersion(t *testing.T) {
	t.Parallel()
	for version, warned := range map[string]bool{apiVersionDev: false, apiVersionBeta: true} {
		m := mustParse(t, strings.Replace(everyField, APIVersion, version, 1))
		want := []string(nil)
		if warned {
			want = []string{"apiVersion: runway/v1.0.0-beta is read as runway/v1"}
		}
		if !slices.Equal(m.Warnings, want) || m.Spec.GetContainerPort() != 9000 {
			t.Errorf("%s: warnings %q, want %q; spec %v", version, m.Warnings, want, m.Spec)
		}
	}
}

// An empty document before or after the manifest is none.
func TestParse_PassesOverEmptyDocuments(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"---\n" + head, head + "---\n", "---\n---\n" + head + "...\n---\n# end\n"} {
		if m := mustParse(t, text); m.Name != "web" {
			t.Errorf("%q: name %q", text, m.Name)
		}
	}
}

// Another name of a field is the field, says so, and is not a second one.
func TestWalk_ReadsOtherNames(t *testing.T) {
	t.Parallel()
	named := append(slices.Clone(fields), Field{"spec.port", "", "", otherName("spec.container_port")})
	read := func(text string) *walker {
		root, problem := parseDocument("runway.yml", []byte(text))
		if problem != nil {
			t.Fatal(problem)
		}
		return walkBy(named, part{"runway.yml", root})
	}
	w := read(head + "spec:\n  port: 81\n")
	if want := []string{"spec.port is read as spec.container_port"}; len(w.problems) > 0 || w.draft.port != 81 || !slices.Equal(w.warnings, want) {
		t.Errorf("problems %v, port %d, warnings %q", w.problems, w.draft.port, w.warnings)
	}
	w = read(head + "spec:\n  port: 81\n  container_port: 82\n")
	want := "runway.yml:7:3: RW-8006 spec.container_port is there twice, first in line 6; remove one of the two"
	if len(w.problems) != 1 || w.problems[0].Error() != want {
		t.Errorf("got %v, want %s", w.problems, want)
	}
}
