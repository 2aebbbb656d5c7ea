package config

import (
	"fmt"
	"os"
	"path/filepath"
)

// DefaultPath returns the file that is used when none is named:
// runway/runwayctl.yml below the user's configuration folder.
func DefaultPath() (string, error) {
	folder, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("find configuration folder: %w", err)
	}
	return filepath.Join(folder, "runway", "runwayctl.yml"), nil
}
