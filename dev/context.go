package dev

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/runway-platform/runway/cli/config"
)

// contextName is what the cluster of this machine is called in the context file.
const contextName = "dev"

// writeContext writes DATA/runwayctl.yml for the command line, readable by its
// owner only because it holds the admin token.
func (c Config) writeContext() error {
	token, err := os.ReadFile(c.path("admin.token"))
	if err != nil {
		return fmt.Errorf("read admin token: %w", err)
	}
	file := config.File{Current: contextName, Contexts: []config.Context{{
		Name:    contextName,
		Address: c.API,
		CA:      c.path("ca.crt"),
		Token:   strings.TrimSpace(string(token)),
	}}}
	if err := file.Save(c.path("runwayctl.yml")); err != nil {
		return err
	}
	if !c.LinkContext {
		return nil
	}
	return c.linkContext()
}

// linkContext makes the user's default configuration this cluster's, unless there
// is one already.
func (c Config) linkContext() error {
	path, err := config.DefaultPath()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("make configuration directory: %w", err)
	}
	err = os.Symlink(c.path("runwayctl.yml"), path)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("link default configuration: %w", err)
	}
	return nil
}

// unlinkContext removes the link, and the directory when nothing else is in it.
func (c Config) unlinkContext() error {
	path, err := config.DefaultPath()
	if err != nil {
		return err
	}
	target, err := os.Readlink(path)
	if err != nil || target != c.path("runwayctl.yml") {
		return nil
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("unlink default configuration: %w", err)
	}
	// Fails, as it should, when the user keeps something there.
	_ = os.Remove(filepath.Dir(path))
	return nil
}
