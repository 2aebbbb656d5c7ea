// Package config reads and writes the files that tell runwayctl which clusters
// there are and who calls. `runway dev` writes one too.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	yaml "go.yaml.in/yaml/v3"

	"github.com/runway-platform/runway/atomicfile"
)

// DefaultContext names the context of a file that describes one cluster only.
const DefaultContext = "default"

// maxFileBytes bounds what is read: a file with hundreds of contexts is smaller.
const maxFileBytes = 1 << 20

// Context is one cluster and how to reach it.
type Context struct {
	Name string `yaml:"name,omitempty"`
	// Address of a coordinator, host:port.
	Address string `yaml:"address"`
	// CA is the path of the cluster's certificate, PEM; relative to the file.
	CA string `yaml:"ca"`
	// Token authenticates the caller. TokenFile, relative to the file, holds one.
	Token     string `yaml:"token,omitempty"`
	TokenFile string `yaml:"token_file,omitempty"`
	// Space and Environment are used when the command line names none.
	Space       string `yaml:"space,omitempty"`
	Environment string `yaml:"environment,omitempty"`
}

// File is a configuration file: either one context at its top (address, ca, token)
// or a list of named ones.
type File struct {
	Context  `yaml:",inline"`
	Current  string    `yaml:"current,omitempty"`
	Contexts []Context `yaml:"contexts,omitempty"`
}

// ErrNoContext means that the file has no context of the wanted name.
var ErrNoContext = errors.New("no such context")

// Load reads the file at path. A file that others may read is reported by
// Exposed, not refused. The error wraps fs.ErrNotExist when there is none.
func Load(path string) (*File, error) {
	data, err := readBounded(path)
	if err != nil {
		return nil, err
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	decoder.KnownFields(true)
	var f File
	if err := decoder.Decode(&f); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("parse configuration %q: %w", path, err)
	}
	f.resolve(filepath.Dir(path))
	return &f, nil
}

func readBounded(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	data, err := io.ReadAll(io.LimitReader(file, maxFileBytes+1))
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, fmt.Errorf("read configuration %q: %w", path, err)
	}
	if len(data) > maxFileBytes {
		return nil, fmt.Errorf("read configuration %q: larger than %d bytes", path, maxFileBytes)
	}
	return data, nil
}

// resolve makes the paths in the file independent of the present folder.
func (f *File) resolve(dir string) {
	f.Context.resolve(dir)
	for i := range f.Contexts {
		f.Contexts[i].resolve(dir)
	}
}

func (c *Context) resolve(dir string) {
	for _, path := range []*string{&c.CA, &c.TokenFile} {
		if *path != "" && !filepath.IsAbs(*path) {
			*path = filepath.Join(dir, *path)
		}
	}
}

// All returns every context, named.
func (f *File) All() []Context {
	var all []Context
	if f.Address != "" {
		single := f.Context
		if single.Name == "" {
			single.Name = DefaultContext
		}
		all = append(all, single)
	}
	return append(all, f.Contexts...)
}

// Select returns the context of that name; an empty name means the current one,
// or the first. The error is ErrNoContext.
func (f *File) Select(name string) (Context, error) {
	if name == "" {
		name = f.Current
	}
	for _, c := range f.All() {
		if name == "" || c.Name == name {
			return c, nil
		}
	}
	return Context{}, fmt.Errorf("select context %q: %w", name, ErrNoContext)
}

// Save writes the file so that only its owner may read it, whole or not at all.
func (f *File) Save(path string) error {
	data, err := yaml.Marshal(f)
	if err != nil {
		return fmt.Errorf("encode configuration %q: %w", path, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("make folder of configuration: %w", err)
	}
	if err := atomicfile.Write(path, data, 0o600); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	return nil
}

// Exposed says whether others than the owner may read the file at path, which
// holds or may hold a token.
func Exposed(path string) (bool, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look at %q: %w", path, err)
	}
	return info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0, nil
}
