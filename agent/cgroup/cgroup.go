// Package cgroup reads what the kernel knows about a container's cgroup, and ends the processes in it when nobody else can.
// It works on cgroup v1, hybrid and v2 and is the one place in the agent that tells them apart. It never sets a limit: the
// low-level runtime does that from the container's spec.
package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/cgroups/v3"
)

// mountPoint is where every distribution mounts the hierarchies.
const mountPoint = "/sys/fs/cgroup"

// Tree is the cgroup file system of a machine.
type Tree struct {
	root    string
	unified bool
}

// Open returns the tree of this machine.
func Open() Tree {
	return OpenAt(mountPoint, cgroups.Mode() == cgroups.Unified)
}

// OpenAt returns the tree mounted at root; unified means cgroup v2.
func OpenAt(root string, unified bool) Tree {
	return Tree{root: root, unified: unified}
}

// Group returns the cgroup of that path, which need not exist.
func (t Tree) Group(path string) Group {
	return Group{tree: t, path: path}
}

// Children returns the names of the cgroups right below a path, in order. A path that does not exist has none.
func (t Tree) Children(path string) ([]string, error) {
	hierarchies, err := t.hierarchies()
	if err != nil {
		return nil, fmt.Errorf("list cgroups below %q: %w", path, err)
	}
	var names []string
	for _, hierarchy := range hierarchies {
		entries, err := os.ReadDir(filepath.Join(hierarchy, path))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("list cgroups below %q: %w", path, err)
		}
		for _, entry := range entries {
			if entry.IsDir() {
				names = append(names, entry.Name())
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// SwapLimited reports whether the kernel can deny swap to a cgroup. Distributions boot cgroup v1 without it.
func (t Tree) SwapLimited() bool {
	if t.unified {
		return true
	}
	_, err := os.Stat(filepath.Join(t.root, "memory", "memory.memsw.limit_in_bytes"))
	return err == nil
}

// hierarchies returns the folders in which one cgroup path may appear: one on v2, one per controller on v1.
func (t Tree) hierarchies() ([]string, error) {
	if t.unified {
		return []string{t.root}, nil
	}
	entries, err := os.ReadDir(t.root)
	if err != nil {
		return nil, err
	}
	var folders []string
	for _, entry := range entries {
		if entry.IsDir() { // symbolic links are second names of joint controllers
			folders = append(folders, filepath.Join(t.root, entry.Name()))
		}
	}
	return folders, nil
}

// Group is one cgroup.
type Group struct {
	tree Tree
	path string
}

// Exists reports whether any hierarchy has the cgroup.
func (g Group) Exists() bool {
	folders, err := g.folders()
	return err == nil && len(folders) > 0
}

// PIDs returns the processes in the cgroup.
func (g Group) PIDs() ([]int, error) {
	folders, err := g.folders()
	if err != nil {
		return nil, fmt.Errorf("list processes of cgroup %q: %w", g.path, err)
	}
	var pids []int
	for _, folder := range folders {
		content, err := os.ReadFile(filepath.Join(folder, "cgroup.procs"))
		if err != nil && !isGone(err) {
			return nil, fmt.Errorf("list processes of cgroup %q: %w", g.path, err)
		}
		for word := range strings.FieldsSeq(string(content)) {
			if pid, err := strconv.Atoi(word); err == nil && pid > 0 {
				pids = append(pids, pid)
			}
		}
	}
	slices.Sort(pids)
	return slices.Compact(pids), nil
}

// folders returns where the cgroup exists.
func (g Group) folders() ([]string, error) {
	hierarchies, err := g.tree.hierarchies()
	if err != nil {
		return nil, err
	}
	var found []string
	for _, hierarchy := range hierarchies {
		folder := filepath.Join(hierarchy, g.path)
		if _, err := os.Stat(folder); err == nil {
			found = append(found, folder)
		}
	}
	return found, nil
}

// file returns the path of a control file; the controller matters on v1 only.
func (g Group) file(controller, name string) string {
	if g.tree.unified {
		return filepath.Join(g.tree.root, g.path, name)
	}
	return filepath.Join(g.tree.root, controller, g.path, name)
}
