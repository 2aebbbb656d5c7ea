package manifest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/runway-platform/runway/proto/code"
	yaml "go.yaml.in/yaml/v3"
)

const (
	// maxWords and maxWordBytes are what the coordinator accepts of a command.
	maxWords     = 100
	maxWordBytes = 16 << 10
	// maxLabels leaves room for those that fields of the metadata set, maxLabelName for
	// a value.
	maxLabels    = 50
	maxLabelName = 50

	// regionTemplate is filled in by the charts of the Kubernetes kinds.
	regionTemplate = "${region}"
)

// ownLabels are the labels that fields of the metadata set.
var ownLabels = []string{"owner_email_handle", "department", "department_group", "product_category", "owner"}

// words accepts a list of strings.
func words(form string, place func(*draft) *[]string) rule {
	set := func(d *draft, n *yaml.Node) error {
		var all []string
		var wrong faults
		total := 0
		for _, item := range n.Content {
			item = resolve(item)
			if item.Kind != yaml.ScalarNode || item.ShortTag() != "!!str" || strings.ContainsRune(item.Value, 0) {
				wrong = append(wrong, fault{item, code.ManifestValue, "a word is " + describe(item), "write " + asString(item)})
				continue
			}
			total += len(item.Value)
			all = append(all, item.Value)
		}
		if len(n.Content) == 0 || len(all) > maxWords || total > maxWordBytes {
			wrong = append(wrong, fault{n, code.ManifestValue, fmt.Sprintf("a list of %d words with %d bytes", len(n.Content), total), "write " + form})
		}
		*place(d) = all
		return wrong.orNil()
	}
	get := func(d *draft) any {
		if len(*place(d)) == 0 {
			return nil
		}
		return *place(d)
	}
	one := schema{"type": "string"}
	return rule{form: form, shape: list, set: set, get: get, schema: schema{"type": "array", "items": one, "minItems": 1, "maxItems": maxWords}}
}

// asString is how a value is written so that it is a string.
func asString(n *yaml.Node) string {
	if n.Kind != yaml.ScalarNode {
		return "a string"
	}
	if isNull(n) {
		return `""`
	}
	return quote(n.Value)
}

// entries accepts a mapping of free names to values.
func entries(form string, limit int, entry func(d *draft, key, value *yaml.Node) *fault, get func(d *draft) map[string]string, one schema) rule {
	set := func(d *draft, n *yaml.Node) error {
		var wrong faults
		first := map[string]int{}
		for i := 0; i+1 < len(n.Content) && len(wrong) < maxProblems; i += 2 {
			key, value := n.Content[i], resolve(n.Content[i+1])
			if line, twice := first[key.Value]; twice {
				wrong = append(wrong, fault{key, code.ManifestDuplicate, fmt.Sprintf("%s is there twice, first in line %d", clip(key.Value), line), "remove one of the two"})
				continue
			}
			first[key.Value] = key.Line
			if one := entry(d, key, value); one != nil {
				wrong = append(wrong, *one)
			}
		}
		if all := max(len(first), len(get(d))); all > limit { // with those of the file below
			wrong = append(wrong, fault{n, code.ManifestValue, fmt.Sprintf("%d entries, more than %d", all, limit), fmt.Sprintf("remove %d of them", all-limit)})
		}
		return wrong.orNil()
	}
	show := func(d *draft) any {
		if all := get(d); len(all) > 0 {
			return all
		}
		return nil
	}
	of := schema{"type": []string{"object", "null"}, "maxProperties": limit}
	maps.Copy(of, one)
	return rule{form: form, shape: free, set: set, get: show, schema: of}
}

// variable stores one variable of spec.environment, which must be a string: who reads
// the manifest is not to guess what 1.10 or yes becomes.
func variable(d *draft, key, value *yaml.Node) *fault {
	if wrong := checkVariable(key, value); wrong != nil {
		return wrong
	}
	if value.ShortTag() != "!!str" {
		return &fault{value, code.EnvironmentVariable, fmt.Sprintf("%s is %s", clip(key.Value), describe(value)), "write " + asString(value)}
	}
	if d.in != service && strings.Contains(value.Value, regionTemplate) {
		return &fault{value, code.ManifestNotBuilt, regionTemplate + " in " + clip(key.Value) + " is not built yet", "read RUNWAY_REGION in the process"}
	}
	d.env[key.Value] = value.Value
	return nil
}

// labelEntry stores one label of metadata.labels. Those of the platform's own domain
// are the fields of the metadata.
func labelEntry(d *draft, key, value *yaml.Node) *fault {
	name := key.Value
	if own := strings.ReplaceAll(strings.TrimPrefix(name, "gitlab.com/"), "-", "_"); slices.Contains(ownLabels, own) {
		name = own
	}
	if key.Kind != yaml.ScalarNode || key.ShortTag() == "!!merge" || !printable(name) || len(name) > maxLabelName {
		return &fault{key, code.ManifestValue, "label name " + quote(name) + " is not allowed", fmt.Sprintf("write a name of at most %d bytes", maxLabelName)}
	}
	if value.Kind != yaml.ScalarNode || isNull(value) || !printable(value.Value) || len(value.Value) > maxLabelBytes {
		return &fault{value, code.ManifestValue, fmt.Sprintf("label %s is %s", name, describe(value)), fmt.Sprintf("write a text of at most %d bytes", maxLabelBytes)}
	}
	d.labels[name] = value.Value
	return nil
}

// freeLabels are the labels that no field of the metadata sets.
func freeLabels(d *draft) map[string]string {
	free := maps.Clone(d.labels)
	maps.DeleteFunc(free, func(name, _ string) bool { return slices.Contains(ownLabels, name) })
	return free
}
