package containerd

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/containerd/nerdctl/v2/pkg/labels"
	"github.com/containerd/platforms"

	"github.com/runway-platform/runway/agent/runtime"
)

// NerdctlLogPath returns the file that `nerdctl --namespace NAMESPACE logs ID` reads: JSON lines as docker writes them. Older
// segments have the same name with a suffix. The folder is made by Create and outlives Delete for as long as there are logs
// in it: who writes the logs removes them.
func NerdctlLogPath(dataRoot, address, namespace string, id runtime.ContainerID) (string, error) {
	folder, err := nerdctlFolder(dataRoot, address, namespace, id)
	return filepath.Join(folder, string(id)+"-json.log"), err
}

// LogPath is NerdctlLogPath for a container of this runtime.
func (r *Runtime) LogPath(id runtime.ContainerID) (string, error) {
	return NerdctlLogPath(r.config.NerdctlDataRoot, r.config.Address, r.config.Namespace, id)
}

// nerdctlFolder follows nerdctl's pkg/clientutil and pkg/logging, which cannot be imported: with them comes all of nerdctl.
func nerdctlFolder(dataRoot, address, namespace string, id runtime.ContainerID) (string, error) {
	socket, err := filepath.EvalSymlinks(strings.TrimPrefix(address, "unix://"))
	if err != nil {
		return "", fmt.Errorf("%w: find containerd socket: %w", runtime.ErrUnavailable, err)
	}
	sum := sha256.Sum256([]byte(socket))
	return filepath.Join(dataRoot, hex.EncodeToString(sum[:])[:8], "containers", namespace, string(id)), nil
}

func (r *Runtime) nerdctlFolder(id runtime.ContainerID) (string, error) {
	return nerdctlFolder(r.config.NerdctlDataRoot, r.config.Address, r.config.Namespace, id)
}

// nerdctlLabels are what nerdctl ps, logs, exec and stats read.
func (r *Runtime) nerdctlLabels(spec runtime.ContainerSpec) (map[string]string, error) {
	folder, err := r.nerdctlFolder(spec.ID)
	if err != nil {
		return nil, err
	}
	return map[string]string{
		labels.Namespace: r.config.Namespace,
		labels.Name:      string(spec.ID),
		labels.Hostname:  spec.Hostname,
		labels.StateDir:  folder,
		labels.Platform:  platforms.DefaultString(),
		labels.Networks:  `["none"]`, // the replica's namespace is not nerdctl's to manage
		labels.LogURI:    "file://" + spec.LogPath,
	}, nil
}

// logConfig is nerdctl's log-config.json.
type logConfig struct {
	Driver  string `json:"driver"`
	Address string `json:"address"`
}

const logConfigName = "log-config.json"

// writeLogConfig tells nerdctl that the log is a JSON file in the usual place.
func (r *Runtime) writeLogConfig(id runtime.ContainerID) error {
	folder, err := r.nerdctlFolder(id)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	content, err := json.Marshal(logConfig{Driver: "json-file", Address: r.config.Address})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, logConfigName), content, 0o600)
}

// removeNerdctlFolder removes everything but logs: what we wrote and what nerdctl itself left.
func (r *Runtime) removeNerdctlFolder(id runtime.ContainerID) error {
	folder, err := r.nerdctlFolder(id)
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(folder)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	logs := 0
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), string(id)+"-json.log") {
			logs++
			continue
		}
		if err := os.RemoveAll(filepath.Join(folder, entry.Name())); err != nil {
			return err
		}
	}
	if logs > 0 {
		return nil
	}
	return removeFile(folder)
}
