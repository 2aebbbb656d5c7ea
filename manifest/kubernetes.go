package manifest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/runway-platform/runway/proto/code"
	yaml "go.yaml.in/yaml/v3"
)

// What a Kubernetes kind means where it says nothing and a service means something
// else.
const (
	kubernetesMin    = 3
	kubernetesMax    = 20
	kubernetesMemory = 1 << 30
)

// kubernetesFields are the rows that only the Kubernetes kinds have.
var kubernetesFields = []Field{
	{"spec.protocol", "What the process speaks.", "http", only(kubernetes|overlay, protocol())},
	{"spec.services", "The block of an older shape: fields of spec, below app or frontend.", "", only(kubernetes|overlay, oneService())},
	{"spec.services.app", "Older shape of spec.", "", only(kubernetes|overlay, otherName("spec"))},
	{"spec.services.frontend", "Older shape of spec.", "", only(kubernetes|overlay, otherName("spec"))},
	{"spec.scalability.cpu_utilization", "Processor use that more replicas are made for.", "", only(kubernetes|overlay, notBuilt(noAutoscaler))},
	{"spec.ingress", "Hostnames.", "", only(kubernetes|overlay, mapping())},
	{"spec.ingress.hosts", "Hostnames of your own.", "", only(kubernetes|overlay, notBuilt("remove it: the service has its name under the domain of the cluster"))},
	{"spec.load_balancing.cloudflare", "What stands before the public endpoint.", "", only(kubernetes|overlay, mapping())},
	{"spec.load_balancing.cloudflare.enabled", "Requests come through Cloudflare.", "", only(kubernetes|overlay, insteadOf(boolean(cloudFlag), "requests come straight to the ingresses of the cluster", isTrue))},

	{"serviceMixins", "Adaptations to a cloud.", "", only(overlay, instead(names("a list of different names", func(d *draft) *[]string { return &d.cloud.list }), "replicas run on the nodes of this cluster, which need none"))},
	{"workloadSecrets", "Secrets of the service.", "", only(overlay, notBuilt(noSecrets))},
	{"secretEnvFrom", "Secrets as environment variables.", "", only(overlay, notBuilt(noSecrets))},
	{"secretVolumes", "Secrets as files.", "", only(overlay, notBuilt(noSecrets))},
}

const noSecrets = "remove it: there is no store of secrets yet"

// only limits a rule to some formats.
func only(in format, r rule) rule {
	r.in = in
	return r
}

// protocol translates the words of the Kubernetes kinds.
func protocol() rule {
	backendOf := map[string]string{"http": backendHTTP, "grpc": backendGRPC}
	set := func(d *draft, n *yaml.Node) error {
		backend, known := backendOf[n.Value]
		if !known {
			return errForm
		}
		d.backend = backend
		return nil
	}
	return rule{form: "one of http, grpc", set: set, schema: schema{"enum": slices.Sorted(maps.Keys(backendOf))}}
}

// oneService refuses several processes in one service.
func oneService() rule {
	r := mapping()
	r.set = func(_ *draft, n *yaml.Node) error {
		if len(n.Content) > 2 {
			return faults{{n.Content[2], code.ManifestValue, "more than one process", "deploy each as a service of its own"}}
		}
		return nil
	}
	return r
}

// template says whether the image is filled in by a chart.
func (d *draft) template() bool { return strings.Contains(d.image, "{{") }

// overlay reads a document whose one block is named by the service.
func (w *walker) overlay(root *yaml.Node) {
	var id *yaml.Node
	for i := 0; i+1 < len(root.Content) && !w.full(); i += 2 {
		key, value := root.Content[i], resolve(root.Content[i+1])
		f, known := w.table.lookup("", key)
		switch {
		case known && slices.Contains([]string{"apiVersion", "kind"}, f.Path):
			w.key("", key, value)
		case known:
			w.add(positionOf(key), code.ManifestUnknownField, f.Path+" stands beside the service", "write it below the name of the service, indented by two spaces")
		case id != nil && id.Value == key.Value:
			w.add(positionOf(key), code.ManifestDuplicate, fmt.Sprintf("%s is there twice, first in line %d", clip(key.Value), id.Line), "remove one of the two")
		case id != nil:
			w.add(positionOf(key), code.ManifestValue, "a second service "+quote(key.Value), "keep one service per file")
		case value.Kind != yaml.MappingNode:
			w.add(positionOf(value), code.ManifestValue, clip(key.Value)+" is "+describe(value), "write the fields of the service below its name")
		default:
			id = key
			w.named(key)
			w.mapping("", value)
		}
	}
	if id == nil && !w.full() {
		w.add(positionOf(root), code.ManifestMissing, "the service is missing", "write its name, and its fields below it")
	}
}

// named takes the key of an overlay for the name where the values have none.
func (w *walker) named(key *yaml.Node) {
	if _, known := w.seen["metadata.name"]; known || !printable(key.Value) {
		return
	}
	at := positionOf(key)
	at.file = w.file
	w.draft.name, w.seen["metadata.name"] = key.Value, at
}
