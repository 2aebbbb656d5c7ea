package containerd

import (
	"errors"
	"fmt"
	"log/slog"
	"path"
	"strings"
	"time"
)

// Every call has a bound, so that a containerd that hangs never holds the agent. Each is many times what was measured on a
// loaded machine and short enough for the reconcile loop to notice and say so.
const (
	// queryTimeout bounds reads and signals: milliseconds when all is well.
	queryTimeout = 10 * time.Second
	// shimTimeout bounds what one shim may take to answer: milliseconds when all is well; containerd itself gives it 2 s.
	shimTimeout = 3 * time.Second
	// tasksTimeout bounds asking all shims, parallelQueries at a time; those that were not reached by then count as silent.
	tasksTimeout    = 8 * time.Second
	parallelQueries = 32
	// createTimeout bounds Create and Start: 50 ms when idle, 2 s for 40 at once, more on a disk that syncs slowly.
	createTimeout = 30 * time.Second
	// deleteTimeout bounds Delete: a process needs time to die after SIGKILL, one that waits for a dead disk never does.
	deleteTimeout = 30 * time.Second
	// taskTimeout is the part of it after which the shim itself is taken for the cause.
	taskTimeout = 10 * time.Second
	// pullTimeout is the time that a replica has until it must be ready: a pull that takes longer is of no use to it.
	pullTimeout = 5 * time.Minute
	// redialTimeout bounds the pause between attempts to reach a restarted containerd.
	redialTimeout = 2 * time.Second
)

// Config says which containerd to use and which of its containers are ours.
type Config struct {
	// Address is containerd's socket, by default /run/containerd/containerd.sock.
	Address string
	// Namespace of containerd, by default "runway". Agents may share one; they are told apart by CgroupParent.
	Namespace string
	// Snapshotter, by default overlayfs.
	Snapshotter string
	// CgroupParent is the cgroup that holds this agent's containers and, at the same time, the mark by which it knows them:
	// /runway/node-1. No two agents of one machine may share it, nor may one lie below another.
	CgroupParent string
	// RootDir and StateDir are containerd's own (its settings root and state), by default /var/lib/containerd and
	// /run/containerd. They are needed to clean up behind a shim that was killed.
	RootDir  string
	StateDir string
	// NerdctlDataRoot is where nerdctl looks for logs, by default /var/lib/nerdctl.
	NerdctlDataRoot string
	// Logger receives what goes on without a shim that should help. Nil discards it.
	Logger *slog.Logger
}

// withDefaults fills what was left empty.
func (c Config) withDefaults() Config {
	fill := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	fill(&c.Address, "/run/containerd/containerd.sock")
	fill(&c.Namespace, "runway")
	fill(&c.Snapshotter, "overlayfs")
	fill(&c.RootDir, "/var/lib/containerd")
	fill(&c.StateDir, "/run/containerd")
	fill(&c.NerdctlDataRoot, "/var/lib/nerdctl")
	c.Address = strings.TrimPrefix(c.Address, "unix://")
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Validate reports every setting that cannot work.
func (c Config) Validate() error {
	c = c.withDefaults()
	var problems []error
	if !path.IsAbs(c.CgroupParent) || path.Clean(c.CgroupParent) != c.CgroupParent || c.CgroupParent == "/" {
		problems = append(problems, fmt.Errorf("cgroup parent %q: want a clean absolute path below the root", c.CgroupParent))
	}
	for name, value := range map[string]string{
		"address": c.Address, "root dir": c.RootDir, "state dir": c.StateDir, "nerdctl data root": c.NerdctlDataRoot,
	} {
		if !path.IsAbs(value) {
			problems = append(problems, fmt.Errorf("%s %q: want an absolute path", name, value))
		}
	}
	return errors.Join(problems...)
}
