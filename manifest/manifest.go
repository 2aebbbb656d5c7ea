package manifest

import (
	"errors"
	"io/fs"
	"maps"
	"os"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// Source says which manifest is wanted.
type Source struct {
	// Path is a manifest file, or a folder to look in; empty is the present folder.
	Path string
	// Service selects .runway/SERVICE in a repository with several services.
	Service string
	// Environment selects runway-ENV.yml and env-ENV.yml.
	Environment string
}

func (s Source) path() string {
	if s.Path == "" {
		return "."
	}
	return s.Path
}

// Manifest is what the files of a service say.
type Manifest struct {
	// Name is metadata.name, which DNS need not allow; see CheckName.
	Name string
	// Spec is complete but for the image, whose reference is as written and may be
	// empty, and which the coordinator resolves.
	Spec *runwayv1.RevisionSpec
	// Warnings are sentences about what was assumed or not used.
	Warnings []string
	// Files are the paths that were read.
	Files []string
	draft *draft
}

// Load finds, reads and checks the manifest of src and the env file of its
// environment. The error is Errors and lists everything that is wrong.
func Load(src Source) (*Manifest, error) {
	if problems := checkSource(src); len(problems) > 0 {
		return nil, problems
	}
	where, err := find(src)
	if err != nil {
		return nil, err
	}
	m, problems := loadManifest(where)
	env, envProblems := loadEnv(where.env)
	if problems = append(problems, envProblems...); len(problems) > 0 {
		return nil, problems
	}
	if env != nil {
		maps.Copy(m.Spec.Env, env)
		m.Files = append(m.Files, where.env)
	}
	if problem := checkVariables(m.Files[len(m.Files)-1], m.Spec.GetEnv()); problem != nil {
		return nil, Errors{*problem}
	}
	if where.warning != "" {
		m.Warnings = append(m.Warnings, where.warning)
	}
	return m, nil
}

// checkSource checks the names of src, which become parts of paths.
func checkSource(src Source) Errors {
	faults := []error{CheckName("environment", src.Environment)}
	if src.Service != "" {
		faults = append(faults, CheckName("service", src.Service))
	}
	var problems Errors
	for _, fault := range faults {
		var p Problem
		if errors.As(fault, &p) {
			problems = append(problems, p)
		}
	}
	return problems
}

// Parse reads a manifest from data; file is its name in problems. The error is
// Errors.
func Parse(file string, data []byte) (*Manifest, error) {
	m, problems := parse(file, data)
	if len(problems) > 0 {
		return nil, problems
	}
	return m, nil
}

// loadManifest reads the manifest at a location, over its base when it names one.
func loadManifest(where location) (*Manifest, Errors) {
	top, problem := readPart(where.manifest)
	if problem != nil {
		return nil, Errors{*problem}
	}
	if topValue(top.root, "extends") == "" && top.format() != overlay {
		return assemble(top)
	}
	base, problem := readBase(top)
	if problem != nil {
		return nil, Errors{*problem}
	}
	return assemble(base, top)
}

// readPart reads one file.
func readPart(path string) (part, *Problem) {
	data, problem := readFile(path)
	if problem != nil {
		return part{}, problem
	}
	root, problem := parseDocument(path, data)
	return part{path, root}, problem
}

func parse(file string, data []byte) (*Manifest, Errors) {
	if problem := checkText(file, data); problem != nil {
		return nil, Errors{*problem}
	}
	root, problem := parseDocument(file, data)
	if problem != nil {
		return nil, Errors{*problem}
	}
	return assemble(part{file, root})
}

// assemble makes a manifest of its files, each merged over those before it.
func assemble(parts ...part) (*Manifest, Errors) {
	w := walk(parts...)
	if len(w.problems) > 0 {
		return nil, w.sorted()
	}
	spec, warnings := w.draft.spec()
	return &Manifest{Name: w.draft.name, Spec: spec, Warnings: append(w.warnings, warnings...), Files: w.files, draft: w.draft}, nil
}

// loadEnv reads the env file; nil when there is none.
func loadEnv(path string) (map[string]string, Errors) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	data, problem := readFile(path)
	if problem != nil {
		return nil, Errors{*problem}
	}
	return parseEnv(path, data)
}

func parseEnv(file string, data []byte) (map[string]string, Errors) {
	root, problem := parseDocument(file, data)
	if problem != nil {
		return nil, Errors{*problem}
	}
	return readEnv(file, root)
}
