package manifest

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/runway-platform/runway/proto/code"
	yaml "go.yaml.in/yaml/v3"
)

// shape is what YAML a field's value is.
type shape uint8

const (
	scalar shape = iota
	list
	block
	// free is a mapping whose keys are not fields.
	free
)

// rule says how a field's value is read.
type rule struct {
	form  string
	shape shape
	// in is the formats that have the field; 0 is all.
	in format
	// refused fields are known and not built; form says what to do instead.
	refused bool
	// other is the path of the field that this is another name of; empty for most.
	other string
	// set stores the value or says that it has not the form; a block may have none.
	set func(d *draft, n *yaml.Node) error
	// get returns the value that holds, for Render; nil when there is none. A field
	// without it has no effect that could be shown.
	get func(d *draft) any
	// schema is what JSON Schema can say of the values.
	schema schema
	// happens says what happens instead of what the value asks for, where without
	// says that it has no effect.
	happens string
	without func(n *yaml.Node) bool
	// partly is true when other values have their effect.
	partly bool
	// missing are the values that are known and not built, todo what to do instead.
	missing, todo string
}

// errForm is returned by a rule for a value that has not its form.
var errForm = errors.New("value not in the allowed form")

// errNotBuilt is returned by a rule for a value that is known and not built.
var errNotBuilt = errors.New("value not built")

func mapping() rule {
	return rule{form: "fields", shape: block, schema: schema{"type": []string{"object", "null"}}}
}

// notBuilt refuses a known field by name. todo says what to do instead.
func notBuilt(todo string) rule {
	return rule{form: todo, refused: true, schema: schema{"not": schema{}}}
}

// otherName reads a key as the field of path.
func otherName(path string) rule { return rule{form: "what " + path + " may be", other: path} }

// instead accepts values of r, none of which has an effect, and says what happens.
func instead(r rule, happens string) rule {
	r.happens, r.without, r.get = happens, func(*yaml.Node) bool { return true }, nil
	return r
}

// insteadOf is instead for some values; the others ask for what happens anyway.
func insteadOf(r rule, happens string, without func(*yaml.Node) bool) rule {
	r.happens, r.without, r.partly, r.get = happens, without, true, nil
	return r
}

// butNot refuses all values of r but one as not built; todo says what to do instead.
func butNot(r rule, built, missing, todo string) rule {
	set := r.set
	r.form, r.missing, r.todo, r.get = built, missing, todo, nil
	if r.schema["type"] == "boolean" {
		r.schema = schema{"const": built == "true"}
	} else {
		r.schema = schema{"const": built}
	}
	r.set = func(d *draft, n *yaml.Node) error {
		if err := set(d, n); err != nil {
			return err
		}
		if !strings.EqualFold(n.Value, built) {
			return errNotBuilt
		}
		return nil
	}
	return r
}

// names accepts a list of different names.
func names(form string, place func(*draft) *[]string) rule {
	set := func(d *draft, n *yaml.Node) error {
		var all []string
		for _, item := range n.Content {
			item = resolve(item)
			switch {
			case item.Kind != yaml.ScalarNode || isNull(item) || !printable(item.Value):
				return faults{{item, code.ManifestValue, "an entry is " + describe(item), "write " + form}}
			case slices.Contains(all, item.Value):
				return faults{{item, code.ManifestValue, quote(item.Value) + " is there twice", "remove one of the two"}}
			}
			all = append(all, item.Value)
		}
		if len(all) == 0 || len(all) > maxNames {
			return faults{{n, code.ManifestValue, fmt.Sprintf("a list of %d entries", len(all)), "write " + form}}
		}
		*place(d) = all
		return nil
	}
	return rule{form: form, shape: list, set: set, schema: schema{"type": "array", "items": anyText(maxTextBytes), "uniqueItems": true, "minItems": 1, "maxItems": maxNames}}
}

// integer accepts plain decimal numbers only: no quotes, signs, hexadecimal.
func integer(low, high int64, place func(*draft) *int64) rule {
	set := func(d *draft, n *yaml.Node) error {
		value, err := strconv.ParseInt(n.Value, 10, 64)
		if err != nil || n.ShortTag() != "!!int" || strconv.FormatInt(value, 10) != n.Value || value < low || value > high {
			return errForm
		}
		*place(d) = value
		return nil
	}
	return rule{form: fmt.Sprintf("a whole number from %d to %d, without quotes", low, high), set: set, get: func(d *draft) any { return *place(d) },
		schema: schema{"type": "integer", "minimum": low, "maximum": high}}
}

func boolean(place func(*draft) *bool) rule {
	set := func(d *draft, n *yaml.Node) error {
		if n.ShortTag() != "!!bool" {
			return errForm
		}
		*place(d) = isTrue(n)
		return nil
	}
	return rule{form: "true or false", set: set, get: func(d *draft) any { return *place(d) }, schema: schema{"type": "boolean"}}
}

func isTrue(n *yaml.Node) bool { return strings.EqualFold(n.Value, "true") }

const (
	// maxNames is more than any cloud has regions.
	maxNames = 100
	// maxTextBytes bounds names and references.
	maxTextBytes = 1024
	// maxLabelBytes bounds a label's value; with its name it stays below the 256
	// bytes that the coordinator accepts.
	maxLabelBytes = 200
)

// text accepts any scalar that is not empty, so that a label may be a number.
func text(form string, place func(*draft) *string) rule {
	r := textUpTo(maxTextBytes, form, func(d *draft, v string) { *place(d) = v })
	r.get = func(d *draft) any { return nonEmpty(*place(d)) }
	return r
}

// nonEmpty is s as a value of Render.
func nonEmpty(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func textUpTo(limit int, form string, store func(*draft, string)) rule {
	set := func(d *draft, n *yaml.Node) error {
		if !printable(n.Value) || len(n.Value) > limit || isNull(n) {
			return errForm
		}
		store(d, n.Value)
		return nil
	}
	return rule{form: form, set: set, schema: anyText(limit)}
}

// label stores an ownership label of the metadata.
func label(name string) rule {
	form := fmt.Sprintf("a text of at most %d bytes", maxLabelBytes)
	r := textUpTo(maxLabelBytes, form, func(d *draft, v string) { d.labels[name] = v })
	r.get = func(d *draft) any { return nonEmpty(d.labels[name]) }
	return r
}

func printable(s string) bool {
	return s != "" && len(s) <= maxTextBytes && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// path accepts the path of an HTTP request.
func path(place func(*draft) *string) rule {
	set := func(d *draft, n *yaml.Node) error {
		if !strings.HasPrefix(n.Value, "/") || !printable(n.Value) || strings.ContainsAny(n.Value, " #") {
			return errForm
		}
		*place(d) = n.Value
		return nil
	}
	return rule{form: "a path that begins with / such as /healthz", set: set, get: func(d *draft) any { return nonEmpty(*place(d)) },
		schema: schema{"type": "string", "pattern": `^/[^ #]*$`, "maxLength": maxTextBytes}}
}

// oneOf accepts the listed words.
func oneOf(words []string, place func(*draft) *string) rule {
	set := func(d *draft, n *yaml.Node) error {
		if !slices.Contains(words, n.Value) {
			return errForm
		}
		*place(d) = n.Value
		return nil
	}
	form := words[0]
	if len(words) > 1 {
		form = "one of " + strings.Join(words, ", ")
	}
	return rule{form: form, set: set, get: func(d *draft) any { return nonEmpty(*place(d)) }, schema: schema{"enum": words}}
}

// quantity accepts what parse accepts, quoted or not, and shows it as format does.
func quantity(form, pattern string, parse func(string) (int64, error), format func(int64) string, place func(*draft) *int64) rule {
	set := func(d *draft, n *yaml.Node) error {
		value, err := parse(n.Value)
		if err != nil {
			return errForm
		}
		*place(d) = value
		return nil
	}
	get := func(d *draft) any {
		if *place(d) == 0 {
			return nil
		}
		return format(*place(d))
	}
	return rule{form: form, set: set, get: get, schema: schema{"type": []string{"string", "number"}, "pattern": pattern, "exclusiveMinimum": 0}}
}
