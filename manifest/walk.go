package manifest

import (
	"fmt"

	"github.com/runway-platform/runway/proto/code"
	yaml "go.yaml.in/yaml/v3"
)

// walker reads the fields of one document by the table.
type walker struct {
	collector
	draft *draft
	// seen holds where each field stands, for checks across fields.
	seen map[string]position
}

// walk reads root into a draft and collects every problem on the way.
func walk(file string, root *yaml.Node) *walker {
	w := &walker{collector: collector{file: file}, draft: newDraft(), seen: map[string]position{}}
	if root == nil {
		w.add(position{1, 1}, code.ManifestMissing, "the file is empty", "begin with apiVersion: "+APIVersion+" and kind: "+Kind)
		return w
	}
	w.mapping("", root)
	w.checkTogether(positionOf(root))
	return w
}

// mapping reads the keys of one mapping whose path is parent.
func (w *walker) mapping(parent string, n *yaml.Node) {
	first := map[string]int{}
	for i := 0; i+1 < len(n.Content) && !w.full(); i += 2 {
		key, value := n.Content[i], resolve(n.Content[i+1])
		if line, twice := first[key.Value]; twice {
			w.add(positionOf(key), code.ManifestDuplicate, fmt.Sprintf("%s is there twice, first in line %d", join(parent, key.Value), line), "remove one of the two")
			continue
		}
		first[key.Value] = key.Line
		w.field(parent, key, value)
	}
}

// field reads one key and its value.
func (w *walker) field(parent string, key, value *yaml.Node) {
	at := positionOf(key)
	if key.ShortTag() == "!!merge" {
		w.add(at, code.ManifestNotBuilt, "the merge key << is not built yet", "write the fields out, or refer to a whole block")
		return
	}
	f, known := lookup(parent, key)
	switch {
	case !known:
		w.add(at, code.ManifestUnknownField, "unknown field "+keyName(parent, key), suggest(parent, key.Value))
	case f.rule.refused:
		w.add(at, code.ManifestNotBuilt, f.Path+" is not built yet", f.rule.form)
	case f.rule.nested:
		w.seen[f.Path] = at
		w.nested(f, value)
	default:
		w.seen[f.Path] = positionOf(value)
		w.scalar(f, value)
	}
}

func (w *walker) nested(f Field, value *yaml.Node) {
	if value.Kind != yaml.MappingNode && !isNull(value) {
		w.wrong(f, value, fmt.Sprintf("write fields below %s:, indented by two spaces", f.key()))
		return
	}
	if f.rule.set != nil {
		if err := f.rule.set(w.draft, value); err != nil {
			w.wrong(f, value, "write "+f.rule.form)
			return
		}
	}
	if value.Kind == yaml.MappingNode {
		w.mapping(f.Path, value)
	}
}

func (w *walker) scalar(f Field, value *yaml.Node) {
	if value.Kind != yaml.ScalarNode || f.rule.set(w.draft, value) != nil {
		w.wrong(f, value, "write "+f.rule.form)
	}
}

func (w *walker) wrong(f Field, value *yaml.Node, fix string) {
	message := fmt.Sprintf("%s is %s", f.Path, describe(value))
	if isNull(value) {
		message = f.Path + " has no value"
	}
	w.add(positionOf(value), code.ManifestValue, message, fix)
}

// lookup finds the row of a key.
func lookup(parent string, key *yaml.Node) (Field, bool) {
	if key.Kind != yaml.ScalarNode {
		return Field{}, false
	}
	want := join(parent, key.Value)
	for _, f := range fields {
		if f.Path == want {
			return f, true
		}
	}
	return Field{}, false
}

// keyName is the path of a key, which YAML allows to be a list or a mapping.
func keyName(parent string, key *yaml.Node) string {
	if key.Kind != yaml.ScalarNode {
		return join(parent, "that is "+describe(key))
	}
	return clip(join(parent, key.Value))
}

func join(parent, key string) string {
	if parent == "" {
		return key
	}
	return parent + "." + key
}
