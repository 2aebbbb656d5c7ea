package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	yaml "go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// stable is how messages are written: every field, names as in the API.
var stable = protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true}

// show writes an answer of the API in the wanted format; view makes the table.
func (a *app) show(answer proto.Message, view func(t *table)) error {
	if !a.structured() {
		return a.showTable(view)
	}
	encoded, err := encode(answer)
	if err != nil {
		return err
	}
	return a.showJSON(encoded)
}

// showValue is show for an answer that is not a message of the API.
func (a *app) showValue(answer any, view func(t *table)) error {
	if !a.structured() {
		return a.showTable(view)
	}
	encoded, err := json.Marshal(answer)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	return a.showJSON(encoded)
}

// structured says whether a program reads the answer.
func (a *app) structured() bool {
	return a.globals.output == formatJSON || a.globals.output == formatYAML
}

func (a *app) wide() bool { return a.globals.output == formatWide }

// encode is protojson with the spaces that it varies on purpose taken out.
func encode(m proto.Message) (json.RawMessage, error) {
	loose, err := stable.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode answer: %w", err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, loose); err != nil {
		return nil, fmt.Errorf("encode answer: %w", err)
	}
	return compact.Bytes(), nil
}

// showJSON writes one document, indented, or the same as YAML.
func (a *app) showJSON(encoded json.RawMessage) error {
	if a.globals.output == formatYAML {
		return writeYAML(a.Stdout, encoded)
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, encoded, "", "  "); err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	_, err := fmt.Fprintln(a.Stdout, indented.String())
	return err
}

// showLine writes one message of a stream: a JSON document per line, or a YAML
// document.
func (a *app) showLine(m proto.Message) error {
	encoded, err := encode(m)
	if err != nil {
		return err
	}
	if a.globals.output == formatYAML {
		if _, err := io.WriteString(a.Stdout, "---\n"); err != nil {
			return err
		}
		return writeYAML(a.Stdout, encoded)
	}
	_, err = fmt.Fprintf(a.Stdout, "%s\n", encoded)
	return err
}

// writeYAML keeps the order of the JSON document.
func writeYAML(w io.Writer, encoded json.RawMessage) error {
	var document yaml.Node
	if err := yaml.Unmarshal(encoded, &document); err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	plainStyle(&document)
	encoder := yaml.NewEncoder(w)
	encoder.SetIndent(2)
	if err := encoder.Encode(&document); err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	return encoder.Close()
}

func plainStyle(n *yaml.Node) {
	if len(n.Content) > 0 || n.Kind == yaml.ScalarNode {
		n.Style = 0
	}
	for _, child := range n.Content {
		plainStyle(child)
	}
}
