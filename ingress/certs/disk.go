package certs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/runway-platform/runway/atomicfile"
)

// extension of a file with the key and the chain of the name before it.
const extension = ".pem"

func (m *Manager) save(name string, c *certificate) error {
	if name != filepath.Base(name) || !filepath.IsLocal(name) {
		return fmt.Errorf("save certificate of %q: not a file name", name)
	}
	return atomicfile.Write(filepath.Join(m.dir, name+extension), c.pem, 0o600)
}

// remove deletes the file of a name; that there is none is fine.
func (m *Manager) remove(name string) error {
	err := os.Remove(filepath.Join(m.dir, name+extension))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove certificate of %q: %w", name, err)
	}
	return nil
}

// loadAll reads every certificate in the folder, skips those that cannot be used
// and removes the expired ones, so that the folder does not grow for ever.
func (m *Manager) loadAll(now time.Time) (map[string]*certificate, error) {
	entries, err := os.ReadDir(m.dir)
	if err != nil {
		return nil, fmt.Errorf("list certificates: %w", err)
	}
	loaded := make(map[string]*certificate, len(entries))
	for _, entry := range entries {
		name, ok := strings.CutSuffix(entry.Name(), extension)
		if !ok {
			continue
		}
		c, err := m.load(name, now)
		if err != nil {
			m.log.Warn("certificate on disk is not usable, a new one will be made", "host", name, "err", err)
			continue
		}
		loaded[name] = c
	}
	return loaded, nil
}

func (m *Manager) load(name string, now time.Time) (*certificate, error) {
	content, err := os.ReadFile(filepath.Join(m.dir, name+extension))
	if err != nil {
		return nil, fmt.Errorf("read certificate of %q: %w", name, err)
	}
	c, err := parse(name, content, now)
	if errors.Is(err, errExpired) {
		return nil, errors.Join(err, os.Remove(filepath.Join(m.dir, name+extension)))
	}
	return c, err
}
