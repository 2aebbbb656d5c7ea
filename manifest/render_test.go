package manifest

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
)

// What is rendered means the same as the files, alone, and rendered again is the same.
func TestRender_MeansTheSame(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		files map[string]string
	}{
		{"everything", map[string]string{"runway.yml": everyField}},
		{"nothing", map[string]string{"runway.yml": head}},
		{"public cloud", map[string]string{"runway.yml": cloudManifest}},
		{"base and overlay", map[string]string{"runway.yml": baseManifest, "runway-staging.yml": "extends: base\nspec: {scalability: {min_instances: 1}}\n"}},
		{"variables", map[string]string{"runway.yml": everyField, "env-staging.yml": "GREETING: bye\nYES: yes\nNUMBER: 1\nEMPTY:\nLINES: |\n  a\n  b\nREGION: ${region}\nQUOTE: '\"'\n"}},
		{"kubernetes", map[string]string{"default-values.yaml": kubernetesValues, "eks-service-staging.yaml": kubernetesOverlay}},
		{"worker", map[string]string{"runway.yml": head + "spec:\n  load_balancing: {external_load_balancer: {enabled: false}, internal_load_balancer: {enabled: false}}\n"}},
		{"odd sizes", map[string]string{"runway.yml": head + "spec:\n  resources: {limits: {cpu: 0.333, memory: 10000001}}\n"}},
		{"tcp", map[string]string{"runway.yml": head + "spec:\n  startup_probe: {}\n"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			m, err := Load(Source{Path: tree(t, test.files), Environment: "staging"})
			if err != nil {
				t.Fatal(err)
			}
			text, err := m.Render()
			if err != nil {
				t.Fatal(err)
			}
			again := mustParse(t, string(text))
			if diff := cmp.Diff(m.Spec, again.Spec, protocmp.Transform()); diff != "" || again.Name != m.Name {
				t.Errorf("name %q, and the spec of what is rendered differs:\n%s\n%s", again.Name, diff, text)
			}
			twice, err := again.Render()
			if err != nil {
				t.Fatal(err)
			}
			if _, first, _ := bytes.Cut(text, []byte("\n")); !bytes.HasSuffix(twice, first) {
				t.Errorf("rendered again it differs:\n%s", cmp.Diff(string(text), string(twice)))
			}
		})
	}
}

func TestRender_IsStable(t *testing.T) {
	m := mustParse(t, everyField)
	text, err := m.Render()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/render.golden", string(text))
}

// Every built field of a service with an effect is shown.
func TestRender_ShowsEveryField(t *testing.T) {
	t.Parallel()
	text, err := mustParse(t, everyField).Render()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range fields.of(service) {
		if f.rule.get == nil || f.key() == "grpc_service" || strings.Contains(string(text), f.key()+":") {
			continue
		}
		if f.Path != "spec.load_balancing.internal_load_balancer.backend_protocol" {
			t.Errorf("%s is not shown in\n%s", f.Path, text)
		}
	}
}
