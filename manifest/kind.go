package manifest

import (
	"fmt"
	"slices"
	"strings"

	yaml "go.yaml.in/yaml/v3"

	"github.com/runway-platform/runway/proto/code"
)

// APIVersion and Kind are what a manifest names at its top.
const (
	APIVersion = "runway/v1"
	Kind       = "RunwayService"

	// apiVersionDev had the fields of the next version; those that are left are in
	// the table. apiVersionBeta was written until the middle of 2024.
	apiVersionDev  = "runway/v1+dev"
	apiVersionBeta = "runway/v1.0.0-beta"
)

// knownKinds exist and are not built.
var knownKinds = []string{"RunwayJob", "RunwayKubernetesService", "RunwayKubernetesDeployment", "RunwayGKEService"}

// apiVersion reads every version with the same fields.
func apiVersion() rule {
	r := oneOf([]string{APIVersion, apiVersionDev, apiVersionBeta}, func(d *draft) *string { return &d.apiVersion })
	return insteadOf(r, apiVersionBeta+" is read as "+APIVersion, func(n *yaml.Node) bool { return n.Value == apiVersionBeta })
}

func (w *walker) checkKind(top position) {
	got := w.draft.kind
	if _, named := w.seen["kind"]; !named {
		w.add(top, code.ManifestMissing, "kind is missing", "add kind: "+Kind)
		return
	}
	switch {
	case got == "" || got == Kind:
	case slices.Contains(knownKinds, got):
		w.add(w.at("kind"), code.ManifestNotBuilt, fmt.Sprintf("kind %s is not built yet", got), "write "+Kind)
	default:
		w.add(w.at("kind"), code.ManifestValue, "kind is "+quote(got), "write "+Kind)
	}
}

// topValue returns the scalar of a key at the top of a document; empty without one.
func topValue(root *yaml.Node, key string) string {
	if root == nil {
		return ""
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		if value := resolve(root.Content[i+1]); root.Content[i].Value == key && value.Kind == yaml.ScalarNode {
			return strings.TrimSpace(value.Value)
		}
	}
	return ""
}
