package manifest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// schema is a JSON Schema, or a part of one. JSON encodes its keys in order, so that the
// same table gives the same bytes.
type schema map[string]any

// Schema returns the JSON Schema of manifests, made from the table of fields, for
// editors that check while one writes. It refuses nothing that Load accepts; what no
// schema can say (duplicate keys, how numbers are written, fields against each other)
// only Load finds.
func Schema() ([]byte, error) {
	definitions := schema{}
	for _, in := range []format{service, kubernetes, overlay} {
		definitions[in.kind()] = documentSchema(in)
	}
	root := schema{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Manifest of a Runway service", "type": "object",
		"$defs": definitions,
		"allOf": []schema{when(kindOverlay, overlay), when(kindKubernetes, kubernetes), when(kindGKE, kubernetes), {
			"if": schema{"not": namesKind(kindOverlay, kindKubernetes, kindGKE)}, "then": reference(service),
		}},
	}
	text, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode schema: %w", err)
	}
	return append(text, '\n'), nil
}

func when(kind string, in format) schema {
	return schema{"if": namesKind(kind), "then": reference(in)}
}

func namesKind(kinds ...string) schema {
	return schema{"properties": schema{"kind": schema{"enum": kinds}}, "required": []string{"kind"}}
}

func reference(in format) schema { return schema{"$ref": "#/$defs/" + in.kind()} }

// documentSchema is of a whole document of a format.
func documentSchema(in format) schema {
	rows := fields.of(in)
	whole := rows.blockSchema("")
	complete := schema{"required": []string{"kind", "metadata"}, "properties": schema{"metadata": schema{"type": "object", "required": []string{"name"}}}}
	switch in {
	case service:
		whole["anyOf"] = []schema{complete, {"required": []string{"extends"}}}
	case kubernetes:
		maps.Copy(whole, schema{"allOf": []schema{complete}})
	case overlay:
		return overlaySchema(whole)
	}
	return whole
}

// overlaySchema moves the fields below the name of the service.
func overlaySchema(whole schema) schema {
	properties, _ := whole["properties"].(schema)
	head := schema{"apiVersion": properties["apiVersion"], "kind": properties["kind"]}
	rest := schema{}
	for name := range properties {
		if head[name] == nil {
			rest[name] = properties[name]
			head[name] = schema{"not": schema{}, "description": "Write it below the name of the service."}
		}
	}
	whole["properties"] = rest
	return schema{"type": "object", "properties": head, "additionalProperties": whole, "required": []string{"kind"}, "minProperties": 2, "maxProperties": 3}
}

// blockSchema is of the fields below a path.
func (t table) blockSchema(parent string) schema {
	properties := schema{}
	for _, f := range t {
		if f.parent() == parent {
			properties[f.key()] = t.fieldSchema(f)
		}
	}
	return schema{"type": []string{"object", "null"}, "properties": properties, "additionalProperties": false}
}

func (t table) fieldSchema(f Field) schema {
	real := f.target()
	of := maps.Clone(real.rule.schema)
	switch {
	case f.rule.other != "" && real.rule.shape == block:
		of = schema{"type": []string{"object", "null"}}
	case real.rule.shape == block:
		maps.Copy(of, t.blockSchema(f.Path))
	}
	of["description"] = describeField(f)
	if f.rule.other != "" || f.Warns() && !f.rule.partly {
		of["deprecated"] = true
	}
	return of
}

// describeField is what an editor shows.
func describeField(f Field) string {
	text := f.Doc
	switch {
	case !f.Built():
		text += " Not built yet: " + f.Form() + "."
	case f.Warns():
		text += " " + strings.ToUpper(f.rule.happens[:1]) + f.rule.happens[1:] + "."
	}
	if f.Default != "" {
		text += " Default: " + f.Default + "."
	}
	return text
}

// anyText is a scalar that may be written without quotes.
func anyText(limit int) schema {
	return schema{"type": []string{"string", "number", "boolean"}, "minLength": 1, "maxLength": limit, "pattern": `^[^\x00-\x1f\x7f]*$`}
}

func labelsSchema() schema {
	return schema{"propertyNames": schema{"minLength": 1}, "additionalProperties": anyText(maxLabelBytes)}
}

func variablesSchema() schema {
	return schema{
		"propertyNames": schema{
			"pattern": envName.String(), "maxLength": maxEnvNameLength,
			"not": schema{"anyOf": []schema{{"pattern": "^" + reservedEnvPrefix}, {"enum": slices.Sorted(maps.Keys(reservedEnv))}}},
		},
		"additionalProperties": schema{"type": "string", "maxLength": maxEnvValueBytes},
	}
}
