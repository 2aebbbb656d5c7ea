package dev

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// containerdRun is where shims keep their sockets, whatever the daemon's own state
// directory is.
const containerdRun = "/run/containerd"

// shimFolders are the folders that shims make for all containerds of a machine, and that
// no containerd takes away. Inner ones come first.
var shimFolders = []string{containerdRun + "/runc", containerdRun + "/s", containerdRun + "/fifo", containerdRun}

// foldersNote is the file that names the folders which were not there before.
const foldersNote = "made-folders"

// noteFolders remembers which folders are not there, and what a start before noted: those
// that are there when the cluster goes were made for it. All others are not ours.
func (c Config) noteFolders(folders []string) error {
	made, err := c.madeFolders()
	if err != nil {
		return err
	}
	for _, folder := range folders {
		if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) && !slices.Contains(made, folder) {
			made = append(made, folder)
		}
	}
	if err := os.WriteFile(c.path(foldersNote), []byte(strings.Join(made, "\n")), 0o644); err != nil {
		return fmt.Errorf("note folders: %w", err)
	}
	return nil
}

func (c Config) madeFolders() ([]string, error) {
	text, err := os.ReadFile(c.path(foldersNote))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the note of folders: %w", err)
	}
	return strings.Fields(string(text)), nil
}

// removeFolders removes the folders of the note. One that is not empty serves somebody
// else.
func (c Config) removeFolders() error {
	made, err := c.madeFolders()
	if err != nil {
		return err
	}
	for _, folder := range made {
		if err := unix.Rmdir(folder); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTEMPTY) {
			return fmt.Errorf("remove folder %q: %w", folder, err)
		}
	}
	return nil
}
