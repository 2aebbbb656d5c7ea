package manifest

import (
	"errors"
	"fmt"

	"github.com/runway-platform/runway/proto/code"
	yaml "go.yaml.in/yaml/v3"
)

// part is one file of a manifest: the only one, a base, or what is merged over it.
type part struct {
	file string
	// root is nil for an empty file.
	root *yaml.Node
}

// walker reads the fields of the parts by the table, the later ones over the
// earlier ones.
type walker struct {
	collector
	// all is the table, table its rows for the present part.
	all, table table
	draft      *draft
	// seen holds where each field stands, for checks across fields.
	seen map[string]position
	// here holds the line of each field of the present part.
	here map[string]int
	// older is true inside a block that is another name of one.
	older bool
	// warnings are by field, in order.
	warned   map[string]string
	warnings []string
}

// walk reads parts into a draft and collects every problem on the way.
func walk(parts ...part) *walker { return walkBy(fields, parts...) }

func walkBy(t table, parts ...part) *walker {
	w := &walker{all: t, draft: newDraft(parts[0].format()), seen: map[string]position{}, warned: map[string]string{}}
	var before *part
	for i, p := range parts {
		w.part(p, before)
		before = &parts[i]
	}
	if top := parts[0]; top.root != nil {
		w.file = top.file
		w.checkTogether(positionOf(top.root))
	}
	return w
}

// part reads one file, which is merged over the one before it.
func (w *walker) part(p part, before *part) {
	w.enter(p.file)
	w.here, w.table = map[string]int{}, w.all.of(p.format())
	if p.root == nil {
		w.add(position{line: 1, column: 1}, code.ManifestMissing, "the file is empty", "begin with apiVersion: "+APIVersion+" and kind: "+usualKind(p.file))
		return
	}
	if p.format() == overlay {
		w.overlay(p.root)
	} else {
		w.mapping("", p.root)
	}
	w.checkKind(p, before)
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
		w.key(parent, key, value)
	}
}

// key finds the field of one key.
func (w *walker) key(parent string, key, value *yaml.Node) {
	at := positionOf(key)
	if key.ShortTag() == "!!merge" {
		w.add(at, code.ManifestNotBuilt, "the merge key << is not built yet", "write the fields out, or refer to a whole block")
		return
	}
	f, known := w.table.lookup(parent, key)
	if !known {
		w.add(at, code.ManifestUnknownField, "unknown field "+keyName(parent, key), w.suggest(parent, key))
		return
	}
	if f.rule.other != "" {
		w.otherName(f, key, value)
		return
	}
	w.field(f, at, value)
}

// suggest says what to write instead of an unknown key.
func (w *walker) suggest(parent string, key *yaml.Node) string {
	if f, known := w.all.lookup(parent, key); known {
		return "it is a field of " + f.rule.in.kind()
	}
	return w.table.suggest(parent, key.Value)
}

// otherName reads a key as the field that it is another name of, and says so.
func (w *walker) otherName(f Field, key, value *yaml.Node) {
	real, _ := w.table.find(f.rule.other)
	if real.rule.refused {
		w.add(positionOf(key), code.ManifestNotBuilt, f.Path+" is not built yet", real.rule.form)
		return
	}
	w.warn(f.Path, fmt.Sprintf("%s is read as %s", f.Path, real.Path))
	if real.rule.shape == block {
		if w.older {
			w.add(positionOf(key), code.ManifestUnknownField, f.Path+" stands in itself", "write it once")
			return
		}
		w.older = true
		defer func() { w.older = false }()
	}
	w.field(real, positionOf(key), value)
}

// field reads the value of a field.
func (w *walker) field(f Field, at position, value *yaml.Node) {
	if line, twice := w.here[f.Path]; twice && f.rule.shape != block {
		w.add(at, code.ManifestDuplicate, fmt.Sprintf("%s is there twice, first in line %d", f.Path, line), "remove one of the two")
		return
	}
	w.here[f.Path] = at.line
	w.see(f, at, value)
	switch {
	case f.rule.refused:
		w.add(at, code.ManifestNotBuilt, f.Path+" is not built yet", f.rule.form)
	case !f.holds(value) && f.rule.shape == block:
		w.wrong(f, value, fmt.Sprintf("write fields below %s:, indented by two spaces", f.key()))
	case !f.holds(value):
		w.wrong(f, value, "write "+f.rule.form)
	default:
		w.set(f, value)
	}
}

// see keeps where a field stands: a block by its key, another one by its value.
func (w *walker) see(f Field, at position, value *yaml.Node) {
	if f.rule.shape != block {
		at = positionOf(value)
	}
	at.file = w.file
	w.seen[f.Path] = at
}

// set stores a value of the right shape.
func (w *walker) set(f Field, value *yaml.Node) {
	if f.rule.set != nil {
		if err := f.rule.set(w.draft, value); err != nil {
			w.refuse(f, value, err)
			return
		}
	}
	if f.rule.without != nil && f.rule.without(value) {
		w.warn(f.Path, f.Path+": "+f.rule.happens)
	}
	if f.rule.shape == block && value.Kind == yaml.MappingNode {
		w.mapping(f.Path, value)
	}
}

// refuse adds the problem of a value that its rule did not take.
func (w *walker) refuse(f Field, value *yaml.Node, err error) {
	if errors.Is(err, errNotBuilt) {
		w.add(positionOf(value), code.ManifestNotBuilt, fmt.Sprintf("%s %s is not built yet", f.Path, clip(value.Value)), f.rule.todo)
		return
	}
	var inside faults
	if errors.As(err, &inside) {
		for _, one := range inside {
			w.add(positionOf(one.at), one.code, f.Path+": "+one.message, one.fix)
		}
		return
	}
	w.wrong(f, value, "write "+f.rule.form)
}

func (w *walker) wrong(f Field, value *yaml.Node, fix string) {
	message := fmt.Sprintf("%s is %s", f.Path, describe(value))
	if isNull(value) {
		message = f.Path + " has no value"
	}
	w.add(positionOf(value), code.ManifestValue, message, fix)
}

// warn keeps one warning about a field, however many parts name it.
func (w *walker) warn(path, sentence string) {
	if w.warned[path] != sentence {
		w.warned[path] = sentence
		w.warnings = append(w.warnings, sentence)
	}
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
