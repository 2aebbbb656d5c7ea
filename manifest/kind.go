package manifest

import (
	"cmp"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	yaml "go.yaml.in/yaml/v3"

	"github.com/runway-platform/runway/proto/code"
	naming "github.com/runway-platform/runway/proto/name"
)

// APIVersion and Kind are what a manifest names at its top.
const (
	APIVersion = "runway/v1"
	Kind       = "RunwayService"

	// apiVersionDev had the fields of the next version; those that are left are in
	// the table. apiVersionBeta was written until the middle of 2024.
	apiVersionDev  = "runway/v1+dev"
	apiVersionBeta = "runway/v1.0.0-beta"

	kindKubernetes = "RunwayKubernetesService"
	kindGKE        = "RunwayGKEService" // its name in the beta
	kindOverlay    = "RunwayKubernetesDeployment"
	kindJob        = "RunwayJob"
)

// format is which fields a document may have, as a bit, so that a field can name
// several.
type format uint8

const (
	// service is one document for everything.
	service format = 1 << iota
	// kubernetes is the part of a Kubernetes service that holds for every environment.
	kubernetes
	// overlay is what one environment merges over that, below the name of the service.
	overlay
)

// formats are the kinds that are read.
var formats = map[string]format{Kind: service, kindKubernetes: kubernetes, kindGKE: kubernetes, kindOverlay: overlay}

// kind names the first kind that has a field.
func (f format) kind() string {
	switch {
	case f&service != 0:
		return Kind
	case f&kubernetes != 0:
		return kindKubernetes
	}
	return kindOverlay
}

// apiVersion reads every version with the same fields.
func apiVersion() rule {
	r := oneOf([]string{APIVersion, apiVersionDev, apiVersionBeta}, func(d *draft) *string { return &d.apiVersion })
	r = insteadOf(r, apiVersionBeta+" is read as "+APIVersion, func(n *yaml.Node) bool { return n.Value == apiVersionBeta })
	r.get = func(*draft) any { return APIVersion }
	return r
}

// serviceName is any name; checkName judges its length.
func serviceName() rule {
	r := text(fmt.Sprintf("a name of at most %d characters", naming.MaxLength), func(d *draft) *string { return &d.name })
	r.schema = anyText(naming.MaxLength)
	return r
}

// kindWord keeps the kind, which checkKind judges. What is shown is a service.
func kindWord() rule {
	r := text(Kind+", or a Kubernetes kind", func(d *draft) *string { return &d.kind })
	r.get = func(*draft) any { return Kind }
	r.schema = schema{"enum": slices.Sorted(maps.Keys(formats))}
	return r
}

// extension is read before the walk; what is shown stands alone.
func extension() rule {
	r := oneOf([]string{extendsBase}, func(d *draft) *string { return &d.extends })
	r.get = nil
	return r
}

// usualKind is the kind of a file by its name.
func usualKind(file string) string {
	name := filepath.Base(file)
	switch {
	case strings.HasPrefix(name, valuesName):
		return kindKubernetes
	case strings.HasPrefix(name, "eks-service-"), strings.HasPrefix(name, "gke-service-"):
		return kindOverlay
	}
	return Kind
}

// kind is the kind that a file names, else its usual one.
func (p part) kind() string { return cmp.Or(topValue(p.root, "kind"), usualKind(p.file)) }

// format is the format of the kind that a file names, else of its usual kind.
func (p part) format() format {
	if f, known := formats[p.kind()]; known {
		return f
	}
	return formats[usualKind(p.file)]
}

// checkKind checks the kind of the part that was just read; before is the part that
// it is merged over, if there is one.
func (w *walker) checkKind(p part, before *part) {
	got := topValue(p.root, "kind")
	_, known := formats[got]
	_, named := w.here["kind"]
	at := positionOf(p.root)
	if named {
		at = w.at("kind")
	}
	switch {
	case !named && (before == nil || p.format() == overlay):
		w.add(at, code.ManifestMissing, "kind is missing", "add kind: "+usualKind(p.file))
	case got == kindJob:
		w.add(at, code.ManifestNotBuilt, "kind "+kindJob+" is not built yet", "write "+Kind)
	case named && got != "" && !known:
		w.add(at, code.ManifestValue, "kind is "+quote(got), nearestKind(got))
	case before != nil && !merges(before.format(), p.format()):
		w.add(at, code.ManifestValue, fmt.Sprintf("kind %s is merged over kind %s of %s", p.kind(), before.kind(), before.file), "write the kinds that belong together")
	}
}

// merges says whether a file of a format is merged over one of another.
func merges(base, top format) bool {
	return base == service && top == service || base == kubernetes && top == overlay
}

func nearestKind(got string) string {
	best, smallest := "", 1+len(got)/3
	for kind := range formats {
		if d := distance(strings.ToLower(got), strings.ToLower(kind)); d < smallest {
			best, smallest = kind, d
		}
	}
	if best == "" {
		return "write " + Kind
	}
	return "did you mean " + best + "?"
}

// topValue returns the scalar of a key at the top of a document; empty without one.
func topValue(root *yaml.Node, key string) string {
	if root == nil {
		return ""
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		if value := resolve(root.Content[i+1]); root.Content[i].Value == key && value.Kind == yaml.ScalarNode {
			return value.Value
		}
	}
	return ""
}
