package manifest

import (
	"bytes"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	yaml "go.yaml.in/yaml/v3"
)

// beyondSchema are the bad manifests that no JSON Schema can refuse, with the reason.
var beyondSchema = map[string]string{
	"port-hex":                   "0x50 is the number 80 to an editor",
	"port-octal":                 "0120 is the number 80 to an editor",
	"port-float":                 "80.0 is a whole number in JSON",
	"port-underscore":            "8_0 is the number 80 to an editor",
	"min-above-max":              "two fields against each other",
	"min-above-default-max":      "two fields against each other",
	"request-above-limit":        "two fields against each other",
	"memory-request-above-limit": "two fields against each other",
	"memory-overflow":            "the range of a size with a unit",
	"memory-below-least":         "the range of a size with a unit",
	"two-protocols":              "two fields against each other",
}

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("runway.json", document); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile("runway.json")
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

// asEditor reads a document as an editor with a YAML library does.
func asEditor(text string) (any, error) {
	var document any
	err := yaml.Unmarshal([]byte(text), &document)
	return document, err
}

func TestSchema_AcceptsWhatLoadAccepts(t *testing.T) {
	t.Parallel()
	compiled := compileSchema(t)
	overlay := "extends: base\nspec: {scalability: {min_instances: 1}}\n" // only together with its base
	for name, text := range map[string]string{
		"everything": everyField, "nothing": head, "public cloud": cloudManifest, "base": baseManifest,
		"overlay": overlay, "empty blocks": head + "spec:\n  resources:\n  startup_probe:\n",
		"kubernetes values": kubernetesValues, "kubernetes overlay": kubernetesOverlay,
		"beta":        "apiVersion: runway/v1.0.0-beta\n" + head[len("apiVersion: runway/v1\n"):],
		"older shape": "kind: RunwayGKEService\nmetadata: {name: web}\nspec: {services: {app: {container_port: 80}}}\n",
	} {
		if text != overlay {
			mustParse(t, text)
		}
		document, err := asEditor(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := compiled.Validate(document); err != nil {
			t.Errorf("%s is refused: %v", name, err)
		}
	}
}

// The schema refuses every bad manifest but those that it cannot.
func TestSchema_RefusesWhatLoadRefuses(t *testing.T) {
	t.Parallel()
	compiled := compileSchema(t)
	ids := map[string]bool{}
	for _, bad := range badManifests {
		ids[bad.id] = true
		if checkText("runway.yml", []byte(bad.input)) != nil {
			continue
		}
		if _, problem := parseDocument("runway.yml", []byte(bad.input)); problem != nil {
			continue // not one YAML document: there is nothing to hold a schema against
		}
		document, err := asEditor(bad.input)
		if err != nil {
			continue // the editor says so itself
		}
		if refused, why := compiled.Validate(document) != nil, beyondSchema[bad.id]; refused == (why != "") {
			t.Errorf("%s: refused %t, want %t; beyond the schema: %q", bad.id, refused, !refused, why)
		}
	}
	for id := range beyondSchema {
		if !ids[id] {
			t.Errorf("%s is beyond the schema and no bad manifest", id)
		}
	}
}

func TestSchema_IsStable(t *testing.T) {
	text, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/schema.json", string(text))
}
