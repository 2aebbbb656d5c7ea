package manifest

import (
	"bytes"
	"fmt"
	"strings"

	yaml "go.yaml.in/yaml/v3"
)

// Render returns the manifest that holds, with every override and default written
// out: a RunwayService that means the same alone, whatever the files were. The same
// files give the same bytes.
func (m *Manifest) Render() ([]byte, error) {
	root := &yaml.Node{Kind: yaml.MappingNode}
	root.HeadComment = "# Made of " + strings.Join(m.Files, ", ") + "."
	for _, f := range fields.of(service) {
		if f.rule.get == nil {
			continue
		}
		if value := f.rule.get(m.draft); value != nil {
			if err := put(root, splitPath(f.Path), value); err != nil {
				return nil, fmt.Errorf("render %s: %w", f.Path, err)
			}
		}
	}
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(root); err != nil {
		return nil, fmt.Errorf("render manifest: %w", err)
	}
	if err := encoder.Close(); err != nil {
		return nil, fmt.Errorf("render manifest: %w", err)
	}
	return out.Bytes(), nil
}

// put stores a value below the keys of path, in the order of the calls.
func put(n *yaml.Node, path []string, value any) error {
	if len(path) == 0 {
		return n.Encode(value)
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == path[0] {
			return put(n.Content[i+1], path[1:], value)
		}
	}
	key, child := &yaml.Node{Kind: yaml.ScalarNode, Value: path[0]}, &yaml.Node{Kind: yaml.MappingNode}
	n.Content = append(n.Content, key, child)
	return put(child, path[1:], value)
}
