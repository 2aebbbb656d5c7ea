// Package atomicfile replaces small files so that a reader, or the next start
// after a power loss, finds the old content or the new one and nothing between.
package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Write replaces the file at path and gives it the mode. When it returns nil the
// content is on disk.
func Write(path string, content []byte, mode fs.FileMode) error {
	dir := filepath.Dir(path)
	temporary, err := writeTemporary(dir, content, mode)
	if err != nil {
		return fmt.Errorf("write %q: %w", path, err)
	}
	if err := os.Rename(temporary, path); err != nil {
		return fmt.Errorf("replace %q: %w", path, errors.Join(err, os.Remove(temporary)))
	}
	return syncDir(dir)
}

// writeTemporary returns the name of a synced file in dir with the content.
// os.CreateTemp makes it with mode 0600, so that nobody reads it before its mode is set.
func writeTemporary(dir string, content []byte, mode fs.FileMode) (string, error) {
	f, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return "", err
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("open folder %q: %w", dir, err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync folder %q: %w", dir, err)
	}
	return nil
}
