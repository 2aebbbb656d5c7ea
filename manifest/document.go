package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/runway-platform/runway/proto/code"
	yaml "go.yaml.in/yaml/v3"
)

// maxAliases bounds the references to anchors, which a file may use to say the
// same probe twice but not to grow. References are never expanded: fields are
// looked up one by one and have at most four levels.
const maxAliases = 100

// parseDocument returns the top mapping of the one document in data; nil when the
// file has none.
func parseDocument(path string, data []byte) (root *yaml.Node, problem *Problem) {
	defer func() {
		if broken := recover(); broken != nil {
			root, problem = nil, syntax(path, position{line: 1, column: 1}, fmt.Sprintf("the YAML parser gave up: %v", broken), "write plain block YAML")
		}
	}()
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var document yaml.Node
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			return root, nil
		}
		if err != nil {
			return nil, placeSyntaxError(path, data, err)
		}
		if isNull(document.Content[0]) {
			continue
		}
		if root != nil {
			return nil, syntax(path, positionOf(&document), "a second document begins here", "keep one document per file")
		}
		if root, problem = topMapping(path, document.Content[0]); problem != nil {
			return nil, problem
		}
	}
}

// topMapping checks the shape of a document.
func topMapping(path string, root *yaml.Node) (*yaml.Node, *Problem) {
	if n := countAliases(root); n > maxAliases {
		return nil, syntax(path, positionOf(root), fmt.Sprintf("it has %d references to anchors, more than %d", n, maxAliases), "write the values out")
	}
	if root.Kind != yaml.MappingNode {
		return nil, syntax(path, positionOf(root), "the file holds "+describe(root)+" instead of fields", "write KEY: VALUE lines")
	}
	return root, nil
}

// countAliases counts the references below n without following them.
func countAliases(n *yaml.Node) int {
	if n.Kind == yaml.AliasNode {
		return 1
	}
	total := 0
	for _, child := range n.Content {
		total += countAliases(child)
	}
	return total
}

// resolve follows a reference to its anchor.
func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

func positionOf(n *yaml.Node) position { return position{line: n.Line, column: n.Column} }

// describe names a node's type for people.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.SequenceNode:
		return "a list"
	case yaml.MappingNode:
		return "a mapping"
	}
	switch n.ShortTag() {
	case "!!int":
		return "the number " + clip(n.Value)
	case "!!float":
		return "the number " + clip(n.Value)
	case "!!bool":
		return "the boolean " + clip(n.Value)
	case "!!null":
		return "nothing"
	}
	return "the string " + quote(n.Value)
}

// clipLength bounds how much of a value a message repeats.
const clipLength = 60

func clip(s string) string {
	if r := []rune(s); len(r) > clipLength {
		return string(r[:clipLength]) + "…"
	}
	return s
}

func quote(s string) string { return fmt.Sprintf("%q", clip(s)) }

func syntax(path string, at position, message, fix string) *Problem {
	return &Problem{File: path, Line: at.line, Column: at.column, Code: code.ManifestSyntax, Message: message, Fix: fix}
}
