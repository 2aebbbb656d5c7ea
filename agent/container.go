package agent

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/runway-platform/runway/agent/network"
	"github.com/runway-platform/runway/agent/runtime"
)

// keptAttempts is how many attempts of a replica keep their logs: the present one and the one before, which explains it.
const keptAttempts = 2

// The labels of a container, for people who look at a node with containerd's own tools.
const (
	labelReplica     = "runway/replica"
	labelSpace       = "runway/space"
	labelService     = "runway/service"
	labelEnvironment = "runway/environment"
	labelRevision    = "runway/revision"
)

// files of the node that a replica is shown.
type files struct{ resolvConf, hosts string }

// containerSpec says how the present attempt runs.
func containerSpec(o order, shown files, spool string) runtime.ContainerSpec {
	spec, key := o.want.GetSpec(), o.want.GetWorkload()
	limits := spec.GetResources()
	return runtime.ContainerSpec{
		ID:             o.container,
		Image:          spec.GetImage().GetResolved(),
		Command:        spec.GetCommand(),
		Env:            environment(o),
		Hostname:       o.replica,
		NetNSPath:      o.place.NetNSPath,
		ResolvConfPath: shown.resolvConf,
		HostsPath:      shown.hosts,
		LogPath:        spool,
		Restricted:     o.want.GetRestricted(),
		Resources: runtime.Resources{
			CPULimit:       runtime.MilliCPU(limits.GetCpuLimitMilli()),
			CPUReservation: runtime.MilliCPU(limits.GetCpuRequestMilli()),
			Memory:         runtime.Bytes(limits.GetMemoryBytes()),
			Pids:           limits.GetPids(),
		},
		Labels: map[string]string{
			labelReplica: o.replica, labelSpace: key.GetSpace(), labelService: key.GetService(),
			labelEnvironment: key.GetEnvironment(), labelRevision: strconv.FormatUint(o.want.GetRevision(), 10),
		},
	}
}

// environment is the user's, and on top of it what the platform tells every replica. K_SERVICE and K_REVISION are what
// libraries look for to find out that they run on a platform of this kind.
func environment(o order) []string {
	key, revision := o.want.GetWorkload(), strconv.FormatUint(o.want.GetRevision(), 10)
	all := maps.Clone(o.want.GetSpec().GetEnv())
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, map[string]string{
		"RUNWAY_SPACE":       key.GetSpace(),
		"RUNWAY_SERVICE":     key.GetService(),
		"RUNWAY_ENVIRONMENT": key.GetEnvironment(),
		"RUNWAY_REVISION":    revision,
		"RUNWAY_REPLICA":     o.replica,
		"RUNWAY_REGION":      o.want.GetRegion(),
		"K_SERVICE":          key.GetService(),
		"K_REVISION":         key.GetService() + "-" + revision,
	})
	if port := o.want.GetSpec().GetContainerPort(); port != 0 {
		all["PORT"] = strconv.FormatUint(uint64(port), 10)
	}
	lines := make([]string, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		lines = append(lines, name+"="+all[name])
	}
	return lines
}

func (c Config) filesFolder(replica string) string { return filepath.Join(c.DataDir, "files", replica) }

// writeFiles makes the replica's resolv.conf, which names the node's gateway, and its hosts file: many images have none, and
// programs look up localhost and their own name.
func (c Config) writeFiles(replica string, place network.Attachment) (files, error) {
	folder := c.filesFolder(replica)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return files{}, fmt.Errorf("make files of replica %q: %w", replica, err)
	}
	written := files{resolvConf: filepath.Join(folder, "resolv.conf"), hosts: filepath.Join(folder, "hosts")}
	for path, text := range map[string]string{
		written.resolvConf: network.ResolvConf(place.Gateway),
		written.hosts:      network.Hosts(place.IP, replica),
	} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return files{}, fmt.Errorf("write files of replica %q: %w", replica, err)
		}
	}
	return written, nil
}

func (c Config) removeFiles(replica string) error {
	if err := os.RemoveAll(c.filesFolder(replica)); err != nil {
		return fmt.Errorf("remove files of replica %q: %w", replica, err)
	}
	return nil
}

func containerName(replica string, attempt int) string {
	return string(runtime.NewContainerID(replica, attempt))
}

// splitContainerID returns the replica and attempt that a container belongs to; false for a name that is not of that form.
func splitContainerID(id runtime.ContainerID) (replica string, attempt int, ok bool) {
	at := strings.LastIndexByte(string(id), '-')
	if at <= 0 {
		return "", 0, false
	}
	attempt, err := strconv.Atoi(string(id[at+1:]))
	return string(id[:at]), attempt, err == nil && attempt >= 0
}
