package manifest

import (
	"fmt"
	"path/filepath"

	yaml "go.yaml.in/yaml/v3"

	"github.com/runway-platform/runway/proto/code"
)

// extendsBase is the one value of extends: runway.yml in the same folder.
const extendsBase = "base"

// valuesName begins the name of the file that holds for every environment of a
// Kubernetes service.
const valuesName = "default-values"

// readBase reads the file that top is merged over.
func readBase(top part) (part, *Problem) {
	if top.format() == overlay {
		return readValues(top)
	}
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

// readValues reads the values that the overlay of an environment is merged over.
func readValues(top part) (part, *Problem) {
	for _, ending := range yamlEndings {
		if path := filepath.Join(filepath.Dir(top.file), valuesName+ending); isFile(path) {
			return readPart(path)
		}
	}
	return part{}, unreadable(top.file, "there is no "+valuesName+".yaml beside it", "write the values that hold for every environment there")
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
