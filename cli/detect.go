package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"

	"github.com/runway-platform/runway/proto/defaults"
)

// codeBase is what a folder of code says about itself.
type codeBase struct {
	// language and dockerfile are empty when none was found.
	language, dockerfile string
	port                 int
	portReason           string
}

// languages are told by the first of these files that is there.
var languages = []struct{ file, language string }{
	{"go.mod", "Go"}, {"Cargo.toml", "Rust"}, {"package.json", "Node.js"}, {"pyproject.toml", "Python"}, {"requirements.txt", "Python"},
	{"Gemfile", "Ruby"}, {"pom.xml", "Java"}, {"build.gradle", "Java"}, {"build.gradle.kts", "Java"}, {"composer.json", "PHP"}, {"mix.exs", "Elixir"},
}

// maxDockerfileBytes is far more than any real one has.
const maxDockerfileBytes = 1 << 20

var exposed = regexp.MustCompile(`(?mi)^\s*EXPOSE\s+"?([0-9]{1,5})(?:/tcp)?"?(?:\s|$)`)

// detect looks at the top of a folder; it runs nothing.
func detect(dir string) (codeBase, error) {
	found := codeBase{port: defaults.ContainerPort, portReason: "No EXPOSE was found: this is where web services listen by default, and what PORT tells the process."}
	for _, l := range languages {
		if isRegular(filepath.Join(dir, l.file)) {
			found.language = l.language
			break
		}
	}
	for _, name := range []string{"Dockerfile", "Containerfile"} {
		text, err := readStart(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return found, fmt.Errorf("read %s: %w", name, err)
		}
		found.dockerfile = name
		if port, ok := exposedPort(text); ok {
			found.port, found.portReason = port, "EXPOSE in "+name+" says so."
		}
		break
	}
	return found, nil
}

// exposedPort is the last port that a Dockerfile exposes: that of its last stage.
func exposedPort(text []byte) (int, bool) {
	all := exposed.FindAllSubmatch(text, -1)
	if len(all) == 0 {
		return 0, false
	}
	port, err := strconv.Atoi(string(all[len(all)-1][1]))
	return port, err == nil && port > 0 && port <= 65535
}

func readStart(path string) (text []byte, err error) {
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return nil, fs.ErrNotExist
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	text, err = io.ReadAll(io.LimitReader(file, maxDockerfileBytes))
	return text, errors.Join(err, file.Close())
}

func isRegular(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// says is the code base in words.
func (c codeBase) says() string {
	text := "code"
	if c.language != "" {
		text = c.language + " code"
	}
	if c.dockerfile == "" {
		return text + " without a Dockerfile"
	}
	return text + " with a " + c.dockerfile
}
