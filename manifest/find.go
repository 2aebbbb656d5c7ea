package manifest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/runway-platform/runway/proto/code"
)

const (
	folder   = ".runway"
	baseName = "runway.yml"
	// wrongName is what people call it; it is not read, but meant.
	wrongName = "runway.yaml"
)

// yamlEndings are those of the files of Kubernetes services; the others end in .yml.
var yamlEndings = []string{".yaml", ".yml"}

// location is where the files of one manifest are.
type location struct {
	manifest string
	// env is the path of the env file, which need not exist.
	env string
	// warning says which other file is not used; empty when there is none.
	warning string
}

// find returns the files for src: the file that is named, or what is found in the
// folder, most specific first.
func find(src Source) (location, error) {
	if info, err := os.Stat(src.path()); err == nil && !info.IsDir() {
		return named(src), nil
	}
	for _, dir := range candidates(src) {
		l, ok := inFolder(dir, src.Environment)
		if several := overlays(dir, src.Environment); ok && len(several) > 1 && slices.Contains(several, l.manifest) {
			return location{}, Errors{{File: dir, Code: code.ManifestUnreadable, Message: "two manifests of one environment: " + strings.Join(several, ", "), Fix: "name one with -f FILE"}}
		}
		if ok {
			return l, nil
		}
	}
	return location{}, Errors{{File: src.path(), Code: code.ManifestUnreadable, Message: "no manifest: " + looked(src), Fix: fixFor(src)}}
}

// named is the location of a file that the user named.
func named(src Source) location {
	l := location{manifest: src.path(), env: envFile(filepath.Dir(src.path()), src.Environment)}
	other := filepath.Join(filepath.Dir(src.path()), environmentName(src.Environment))
	if other != filepath.Clean(src.path()) && isFile(other) {
		l.warning = fmt.Sprintf("%s is used as named; %s is not", src.path(), other)
	}
	return l
}

// candidates are the folders to look in: only the service's own when it has one, else
// the present one, the repository's, and the one folder of a repository with a
// single service.
func candidates(src Source) []string {
	dir := src.path()
	if own := filepath.Join(dir, folder, src.Service); src.Service != "" && isFolder(own) {
		return []string{own}
	}
	dirs := []string{dir, filepath.Join(dir, folder)}
	if src.Service == "" {
		if services := serviceFolders(dir, src.Environment); len(services) == 1 {
			dirs = append(dirs, services[0])
		}
	}
	return dirs
}

// inFolder finds the manifest of an environment in one folder; runway-ENV.yml
// replaces runway.yml.
func inFolder(dir, environment string) (location, bool) {
	for _, name := range fileNames(environment) {
		if path := filepath.Join(dir, name); isFile(path) {
			return location{manifest: path, env: envFile(dir, environment)}, true
		}
	}
	return location{}, false
}

// fileNames are the names that a manifest of an environment may have, best first. Of a
// Kubernetes service it is the overlay, whose values are found beside it.
func fileNames(environment string) []string {
	names := []string{environmentName(environment), baseName}
	for _, stem := range append(overlayStems(environment), valuesName) {
		for _, ending := range yamlEndings {
			names = append(names, stem+ending)
		}
	}
	return names
}

func overlayStems(environment string) []string {
	return []string{"eks-service-" + environment, "gke-service-" + environment}
}

// overlays lists the overlays of an environment in one folder.
func overlays(dir, environment string) []string {
	var found []string
	for _, stem := range overlayStems(environment) {
		for _, ending := range yamlEndings {
			if path := filepath.Join(dir, stem+ending); isFile(path) {
				found = append(found, path)
			}
		}
	}
	return found
}

// serviceFolders lists the folders below .runway that hold a manifest.
func serviceFolders(dir, environment string) []string {
	entries, err := os.ReadDir(filepath.Join(dir, folder))
	if err != nil {
		return nil
	}
	var found []string
	for _, e := range entries {
		path := filepath.Join(dir, folder, e.Name())
		if _, ok := inFolder(path, environment); ok && e.IsDir() {
			found = append(found, path)
		}
	}
	return found
}

// Existing returns the manifest of any environment that is in a folder, or below it where
// Load looks; empty when there is none.
func Existing(dir string) (string, error) {
	below := filepath.Join(dir, folder)
	services, err := entriesOf(below)
	if err != nil {
		return "", err
	}
	dirs := []string{dir, below}
	for _, e := range services {
		if e.IsDir() {
			dirs = append(dirs, filepath.Join(below, e.Name()))
		}
	}
	for _, d := range dirs {
		entries, err := entriesOf(d)
		if err != nil {
			return "", err
		}
		for _, e := range entries {
			if path := filepath.Join(d, e.Name()); isManifestName(e.Name()) && isFile(path) {
				return path, nil
			}
		}
	}
	return "", nil
}

// isManifestName says whether a manifest of some environment may be called so.
func isManifestName(name string) bool {
	return slices.ContainsFunc(append(fileNames("*"), wrongName), func(pattern string) bool {
		matches, err := filepath.Match(pattern, name)
		return err == nil && matches
	})
}

// entriesOf lists a folder; one that is not there has none.
func entriesOf(dir string) ([]os.DirEntry, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("look for manifest: %w", err)
	}
	return entries, nil
}

// looked says where the manifest was looked for.
func looked(src Source) string {
	if _, err := os.Stat(src.path()); err != nil {
		return reason(err)
	}
	if services := serviceFolders(src.path(), src.Environment); src.Service == "" && len(services) > 1 {
		return "several services here: " + strings.Join(services, ", ")
	}
	return fmt.Sprintf("looked for %s, %s and %s.yaml in %s", environmentName(src.Environment), baseName, valuesName, strings.Join(candidates(src), ", "))
}

func fixFor(src Source) string {
	if services := serviceFolders(src.path(), src.Environment); src.Service == "" && len(services) > 1 {
		return "name the service: runwayctl deploy " + filepath.Base(services[0])
	}
	for _, dir := range candidates(src) {
		if path := filepath.Join(dir, wrongName); isFile(path) {
			return fmt.Sprintf("rename %s to %s", path, baseName)
		}
	}
	if near := nearestService(src); near != "" {
		return "did you mean runwayctl deploy " + near + "?"
	}
	return "name it with -f FILE"
}

// nearestService is the service of the repository whose name differs least from the
// one that has no folder.
func nearestService(src Source) string {
	best, smallest := "", 1+max(1, len(src.Service)/3)
	for _, dir := range serviceFolders(src.path(), src.Environment) {
		if d := distance(src.Service, filepath.Base(dir)); d < smallest {
			best, smallest = filepath.Base(dir), d
		}
	}
	return best
}

func environmentName(environment string) string { return "runway-" + environment + ".yml" }

func envFile(dir, environment string) string {
	return filepath.Join(dir, "env-"+environment+".yml")
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir()
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
