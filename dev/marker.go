package dev

import (
	"fmt"
	"os"
	"slices"
)

// marker is the file that tells a cluster's directory from any other folder.
const marker = "runway-dev"

// ours are files that may be in a directory before a cluster is: what whoever
// starts it writes its output to.
var ours = []string{marker, "dev.out", "dev.log"}

// mark makes the marker in an empty directory, and refuses one with other contents.
func (c Config) mark() error {
	if c.marked() {
		return nil
	}
	entries, err := os.ReadDir(c.DataDir)
	if err != nil {
		return fmt.Errorf("look into data directory: %w", err)
	}
	for _, entry := range entries {
		if !slices.Contains(ours, entry.Name()) {
			return fmt.Errorf("%s holds %s, which is no part of a cluster: name an empty directory with --data-dir", c.DataDir, entry.Name())
		}
	}
	const text = "This directory belongs to `runway dev`; `runway dev remove` removes it.\n"
	if err := os.WriteFile(c.path(marker), []byte(text), 0o644); err != nil {
		return fmt.Errorf("mark data directory: %w", err)
	}
	return nil
}

func (c Config) marked() bool {
	_, err := os.Stat(c.path(marker))
	return err == nil
}
