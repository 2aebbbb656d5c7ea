package doctor

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/runway-platform/runway/proto/code"
)

// runTimeout bounds a program that says its version.
const runTimeout = 5 * time.Second

// program is one that nodes run.
type program struct {
	name, debian string
	// does is what nodes have it for.
	does string
	// ask makes it say its version; without it, it only has to be there.
	ask     string
	minimum minimum
	// holes is why a version below the minimum is too old.
	holes string
}

// The minimum versions are those in which the escapes of a container that are known are
// closed.
var programs = []program{
	{
		name: "containerd", debian: "containerd", does: "it runs the replicas", ask: "--version",
		minimum: minimum{{1, 7, 33, 0}, {2, 0, 10, 0}, {2, 1, 9, 0}, {2, 2, 5, 0}, {2, 3, 2, 0}},
		holes:   "CVE-2026-53488, CVE-2026-50195, CVE-2026-53492, CVE-2026-53489 and CVE-2026-47262",
	},
	{name: "containerd-shim-runc-v2", debian: "containerd", does: "containerd watches over each replica with it"},
	{
		name: "runc", debian: "runc", does: "containerd makes containers with it", ask: "--version",
		minimum: minimum{{1, 2, 8, 0}, {1, 3, 3, 0}, {1, 4, 0, 3}},
		holes:   "CVE-2025-31133, CVE-2025-52565 and CVE-2025-52881 (a container writes to the machine)",
	},
	{name: "nft", debian: "nftables", does: "it publishes node ports and keeps spaces apart", ask: "--version"},
}

func (m Machine) programs(ctx context.Context) []Finding {
	var all []Finding
	for _, p := range programs {
		all = append(all, m.program(ctx, p))
	}
	return all
}

func (m Machine) program(ctx context.Context, p program) Finding {
	file, err := m.Look(p.name)
	if err != nil {
		return Ill(Failure, p.name, "not installed", code.MachinePartMissing, p.does, "install the package "+p.debian)
	}
	if p.ask == "" {
		return Well(p.name, file)
	}
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	said, err := m.Run(ctx, file, p.ask)
	if err != nil {
		return Ill(Failure, p.name, file, code.MachinePartMissing, fmt.Sprintf("%s %s: %v", file, p.ask, err), "install the package "+p.debian+" again")
	}
	v, ok := parseVersion(said)
	switch {
	case !ok:
		return Ill(Warning, p.name, file, code.MachinePartOld, "it does not say its version", "")
	case len(p.minimum) > 0 && !p.minimum.holds(v):
		return Ill(Warning, p.name, v.String()+" "+file, code.MachinePartOld,
			fmt.Sprintf("%s are open in %s, and closed in %s", p.holes, v, p.minimum),
			"install a release with them closed; until then run no images of strangers")
	}
	return Well(p.name, v.String()+" "+file)
}

// pluginDirs are where distributions and upstream put the CNI plugins.
var pluginDirs = []string{"usr/lib/cni", "opt/cni/bin"}

func (m Machine) plugins(context.Context) []Finding {
	var all []Finding
	for _, name := range []string{"bridge", "host-local"} {
		check := "CNI plugin " + name
		dir, ok := m.anyOf(name)
		if !ok {
			all = append(all, Ill(Failure, check, "not installed", code.MachinePartMissing, "it gives replicas their network; looked in /"+strings.Join(pluginDirs, ", /"), "install the package containernetworking-plugins"))
			continue
		}
		all = append(all, Well(check, "/"+path.Join(dir, name)))
	}
	return all
}

func (m Machine) anyOf(name string) (string, bool) {
	for _, dir := range pluginDirs {
		if m.exists(path.Join(dir, name)) {
			return dir, true
		}
	}
	return "", false
}

const socket = "/run/containerd/containerd.sock"

func (m Machine) runtime(ctx context.Context) []Finding {
	const check = "containerd service"
	if !m.Root {
		return nil // its socket is for root
	}
	if !m.Answers(ctx, socket) {
		return []Finding{Ill(Warning, check, "does not answer", code.RuntimeUnavailable, "nobody accepts connections at "+socket, "start it, or name another with the agent's --containerd; `runway dev` starts one of its own")}
	}
	return []Finding{Well(check, socket)}
}

// firstKernel has the repair of ext4's fast commits, without which a power cut may damage
// the coordinator's log.
var firstKernel = minimum{{5, 15, 27, 0}}

func (m Machine) kernel(context.Context) []Finding {
	const check = "kernel"
	text, err := fs.ReadFile(m.Files, "proc/sys/kernel/osrelease")
	v, ok := parseVersion(string(text))
	if err != nil || !ok {
		return []Finding{Ill(Failure, check, "unknown", code.MachinePartMissing, "this is not Linux, or /proc is not mounted", "nodes run Linux; on another machine use `runwayctl doctor client`")}
	}
	if !firstKernel.holds(v) {
		return []Finding{Ill(Warning, check, v.String(), code.MachinePartOld, fmt.Sprintf("below %s an ext4 with fast commits loses writes that were acknowledged", firstKernel), "boot a newer kernel, or keep the data directory on an ext4 without fast_commit")}
	}
	return []Finding{Well(check, v.String())}
}

// controllers are the limits that replicas have.
var controllers = []string{"cpu", "memory", "pids"}

func (m Machine) cgroups(context.Context) []Finding {
	const check = "cgroups"
	const root = "sys/fs/cgroup"
	has, mode := map[string]bool{}, "v1"
	if listed, err := fs.ReadFile(m.Files, root+"/cgroup.controllers"); err == nil {
		mode = "v2"
		for _, name := range strings.Fields(string(listed)) {
			has[name] = true
		}
	} else {
		for _, name := range controllers {
			has[name] = m.exists(path.Join(root, name))
		}
	}
	var missing []string
	for _, name := range controllers {
		if !has[name] {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return []Finding{Ill(Failure, check, mode, code.KernelFeatureMissing, "no controller "+strings.Join(missing, ", ")+": limits of replicas would not hold", "boot with cgroup v2, or enable the controllers on the kernel's command line")}
	}
	return []Finding{Well(check, mode+" "+strings.Join(controllers, " "))}
}

// feature is a part of the kernel that is there when one of its files is.
type feature struct {
	name string
	// file is there always, module once it is loaded, and is loaded when it is needed.
	file, module string
}

var features = []feature{
	{name: "network namespaces", file: "proc/self/ns/net"},
	{name: "process namespaces", file: "proc/self/ns/pid"},
	{name: "seccomp", file: "proc/sys/kernel/seccomp"},
	{name: "overlayfs", file: "sys/module/overlay", module: "kernel/fs/overlayfs/overlay"},
	{name: "bridges", file: "sys/module/bridge", module: "kernel/net/bridge/bridge"},
}

func (m Machine) features(ctx context.Context) []Finding {
	var missing []string
	for _, f := range features {
		if !m.exists(f.file) && !m.moduleExists(f.module) {
			missing = append(missing, f.name)
		}
	}
	if why := m.nftRefused(ctx); why != "" {
		missing = append(missing, why)
	}
	const check = "kernel features"
	if len(missing) > 0 {
		return []Finding{Ill(Failure, check, "incomplete", code.KernelFeatureMissing, "the kernel lacks "+strings.Join(missing, ", "), "")}
	}
	found := make([]string, 0, len(features)+1)
	for _, f := range features {
		found = append(found, f.name)
	}
	if m.Root {
		found = append(found, "nf_tables")
	}
	return []Finding{Well(check, strings.Join(found, ", "))}
}

// nftRefused says what the kernel answers to a question about its packet filter. Only
// root may ask, and a missing program is a finding of its own.
func (m Machine) nftRefused(ctx context.Context) string {
	file, err := m.Look("nft")
	if err != nil || !m.Root {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	if said, err := m.Run(ctx, file, "list", "tables"); err != nil {
		return strings.TrimSpace(fmt.Sprintf("nf_tables (%v) %s", err, firstLine(said)))
	}
	return ""
}

// moduleExists says whether the kernel has a module built in or can load it. A kernel
// that does not list its modules is believed: what is built in shows nowhere else.
func (m Machine) moduleExists(name string) bool {
	if name == "" {
		return false
	}
	release, err := fs.ReadFile(m.Files, "proc/sys/kernel/osrelease")
	dir := path.Join("lib/modules", strings.TrimSpace(string(release)))
	if err != nil || !m.exists(dir) {
		return err == nil
	}
	if loadable, err := fs.Glob(m.Files, path.Join(dir, name)+".ko*"); err == nil && len(loadable) > 0 {
		return true
	}
	builtin, err := fs.ReadFile(m.Files, path.Join(dir, "modules.builtin"))
	return err == nil && strings.Contains(string(builtin), name+".ko")
}

func (m Machine) exists(name string) bool {
	_, err := fs.Stat(m.Files, name)
	return err == nil
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}
