package manifest

import (
	"fmt"
	"path/filepath"

	yaml "go.yaml.in/yaml/v3"

	"github.com/runway-platform/runway/proto/code"
)

// extendsBase is the one value of extends: runway.yml in the same folder.
const extendsBase = "base"

// readBase reads the file that top is merged over.
func readBase(top part) (part, *Problem) {
	path := filepath.Join(filepath.Dir(top.file), baseName)
	if filepath.Base(top.file) == baseName {
		return part{}, extendsProblem(top, baseName+" cannot extend itself", "remove extends")
	}
	if !isFile(path) {
		return part{}, extendsProblem(top, "there is no "+path, "write it, or remove extends so that this file stands alone")
	}
	base, problem := readPart(path)
	if problem == nil && topValue(base.root, "extends") != "" {
		problem = extendsProblem(base, fmt.Sprintf("it is the base of %s", top.file), "remove extends")
	}
	return base, problem
}

func extendsProblem(p part, why, fix string) *Problem {
	problem := &Problem{File: p.file, Line: 1, Column: 1, Code: code.ManifestValue, Message: "extends: " + why, Fix: fix}
	for i := 0; i+1 < len(p.root.Content); i += 2 {
		if key := p.root.Content[i]; key.Kind == yaml.ScalarNode && key.Value == "extends" {
			problem.Line, problem.Column = key.Line, key.Column
		}
	}
	return problem
}
