package manifest

import (
	"strings"

	yaml "go.yaml.in/yaml/v3"
)

// Field is one row of the table of fields: what a manifest may say at Path.
type Field struct {
	// Path is the dotted path from the top of the file.
	Path string
	// Doc says what the field does, in one sentence.
	Doc string
	// Default is the value of an absent field, in the form of the file.
	Default string
	rule    rule
}

// Form says what may be written, for people.
func (f Field) Form() string {
	if !f.Built() {
		return f.target().rule.form
	}
	return f.rule.form
}

// Built is false for a field that is known but refused in this version.
// Another name of a field is built when the field is.
func (f Field) Built() bool { return !f.target().rule.refused }

// target is the field that f is another name of, or f.
func (f Field) target() Field {
	if real, ok := fields.find(f.rule.other); ok {
		return real
	}
	return f
}

// Warns is true for a field that names what only a public cloud has: a value without
// an effect is read, and a warning says what happens instead.
func (f Field) Warns() bool { return f.rule.happens != "" }

// key is the last part of the path.
func (f Field) key() string { return f.Path[strings.LastIndexByte(f.Path, '.')+1:] }

// parent is the path without its last part; empty at the top.
func (f Field) parent() string {
	return strings.TrimSuffix(strings.TrimSuffix(f.Path, f.key()), ".")
}

// holds says whether n has the shape of the field's values.
func (f Field) holds(n *yaml.Node) bool {
	switch f.rule.shape {
	case block:
		return n.Kind == yaml.MappingNode || isNull(n)
	case list:
		return n.Kind == yaml.SequenceNode
	case free:
		return n.Kind == yaml.MappingNode || isNull(n)
	}
	return n.Kind == yaml.ScalarNode
}

// table is the rows that apply to one kind of document.
type table []Field

// find returns the row of a path.
func (t table) find(path string) (Field, bool) {
	for _, f := range t {
		if f.Path == path {
			return f, true
		}
	}
	return Field{}, false
}

// of returns the rows that documents of a format may have.
func (t table) of(in format) table {
	var rows table
	for _, f := range t {
		if f.rule.in == 0 || f.rule.in&in != 0 {
			rows = append(rows, f)
		}
	}
	return rows
}

// lookup returns the row of a key below parent.
func (t table) lookup(parent string, key *yaml.Node) (Field, bool) {
	if key.Kind != yaml.ScalarNode {
		return Field{}, false
	}
	return t.find(join(parent, key.Value))
}
