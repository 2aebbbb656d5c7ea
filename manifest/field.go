package manifest

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

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
func (f Field) Form() string { return f.rule.form }

// Built is false for a field that is known but refused in this version.
func (f Field) Built() bool { return !f.rule.refused }

// key is the last part of the path.
func (f Field) key() string { return f.Path[strings.LastIndexByte(f.Path, '.')+1:] }

// parent is the path without its last part; empty at the top.
func (f Field) parent() string {
	return strings.TrimSuffix(strings.TrimSuffix(f.Path, f.key()), ".")
}

// rule says how a field's value is read.
type rule struct {
	form string
	// nested fields follow; set is nil.
	nested bool
	// refused fields are known and not built; form says what to do instead.
	refused bool
	// set stores the value or says that it has not the form.
	set func(d *draft, n *yaml.Node) error
}

// errForm is returned by a rule for a value that has not its form.
var errForm = errors.New("value not in the allowed form")

func mapping() rule { return rule{form: "fields", nested: true} }

// notBuilt refuses a known field by name. instead says what to do.
func notBuilt(instead string) rule { return rule{form: instead, refused: true} }

// integer accepts plain decimal numbers only: no quotes, signs, hexadecimal.
func integer(low, high int64, store func(*draft, int64)) rule {
	set := func(d *draft, n *yaml.Node) error {
		value, err := strconv.ParseInt(n.Value, 10, 64)
		if err != nil || n.ShortTag() != "!!int" || strconv.FormatInt(value, 10) != n.Value || value < low || value > high {
			return errForm
		}
		store(d, value)
		return nil
	}
	return rule{form: fmt.Sprintf("a whole number from %d to %d, without quotes", low, high), set: set}
}

func boolean(store func(*draft, bool)) rule {
	set := func(d *draft, n *yaml.Node) error {
		if n.ShortTag() != "!!bool" {
			return errForm
		}
		store(d, strings.EqualFold(n.Value, "true"))
		return nil
	}
	return rule{form: "true or false", set: set}
}

const (
	// maxTextBytes bounds names and references.
	maxTextBytes = 1024
	// maxLabelBytes bounds a label's value; with its name it stays below the 256
	// bytes that the coordinator accepts.
	maxLabelBytes = 200
)

// text accepts any scalar that is not empty, so that a label may be a number.
func text(form string, store func(*draft, string)) rule {
	return textUpTo(maxTextBytes, form, store)
}

func textUpTo(limit int, form string, store func(*draft, string)) rule {
	set := func(d *draft, n *yaml.Node) error {
		if !printable(n.Value) || len(n.Value) > limit || isNull(n) {
			return errForm
		}
		store(d, n.Value)
		return nil
	}
	return rule{form: form, set: set}
}

func printable(s string) bool {
	return s != "" && len(s) <= maxTextBytes && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// path accepts the path of an HTTP request.
func path(store func(*draft, string)) rule {
	set := func(d *draft, n *yaml.Node) error {
		if !strings.HasPrefix(n.Value, "/") || !printable(n.Value) || strings.ContainsAny(n.Value, " #") {
			return errForm
		}
		store(d, n.Value)
		return nil
	}
	return rule{form: "a path that begins with / such as /healthz", set: set}
}

// oneOf accepts the listed words.
func oneOf(words []string, store func(*draft, string)) rule {
	set := func(d *draft, n *yaml.Node) error {
		if !slices.Contains(words, n.Value) {
			return errForm
		}
		store(d, n.Value)
		return nil
	}
	return rule{form: "one of " + strings.Join(words, ", "), set: set}
}

// quantity accepts what parse accepts, quoted or not.
func quantity(form string, parse func(string) (int64, error), store func(*draft, int64)) rule {
	set := func(d *draft, n *yaml.Node) error {
		value, err := parse(n.Value)
		if err != nil {
			return errForm
		}
		store(d, value)
		return nil
	}
	return rule{form: form, set: set}
}
