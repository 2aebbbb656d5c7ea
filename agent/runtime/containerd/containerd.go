// Package containerd implements runtime.Runtime on containerd, from Debian 12's 1.6 to 2.x, on cgroup v1, hybrid and v2. It
// holds no state that matters: what runs is asked from containerd and the kernel each time, so a restarted agent continues
// where the last one stopped.
package containerd

import (
	"context"
	"fmt"
	"io"
	"time"

	client "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/plugins"
	"github.com/containerd/log"
	"github.com/sirupsen/logrus"

	"github.com/runway-platform/runway/agent/cgroup"
	"github.com/runway-platform/runway/agent/runtime"
)

// parentLabel marks containers and snapshots with the cgroup parent of the agent they belong to.
const parentLabel = "runway/cgroup-parent"

// spoolLabel keeps the spool's path, so that Delete finds it after a restart of the agent.
const spoolLabel = "runway/spool"

// maxRepairs wait for their reader: more than a node has containers that lose their shims at once.
const maxRepairs = 256

// Runtime runs containers through one containerd. Make it with New, end it with Close.
type Runtime struct {
	config Config
	client *client.Client
	tree   cgroup.Tree
	nofile uint64
	silent *log.Entry

	changes *changes
	pulls   *turns
	images  *imageSpecs
	repairs chan runtime.Repair
}

var _ runtime.Runtime = (*Runtime)(nil)

// New returns a Runtime. It does not wait for containerd: calls fail with runtime.ErrUnavailable until it is there, and the
// connection comes back by itself after a restart of containerd.
func New(config Config) (*Runtime, error) {
	config = config.withDefaults()
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("configure containerd runtime: %w", err)
	}
	nofile, err := fileLimit()
	if err != nil {
		return nil, fmt.Errorf("read limit of open files: %w", err)
	}
	conn, err := client.New(config.Address,
		client.WithTimeout(redialTimeout),
		client.WithDefaultNamespace(config.Namespace),
		client.WithDefaultRuntime(plugins.RuntimeRuncV2)) // else asked from containerd for each container
	if err != nil {
		return nil, fmt.Errorf("connect containerd %q: %w", config.Address, err)
	}
	return &Runtime{
		config:  config,
		client:  conn,
		tree:    cgroup.Open(),
		nofile:  nofile,
		silent:  silentLogger(),
		changes: newChanges(),
		pulls:   newTurns(),
		images:  newImageSpecs(),
		repairs: make(chan runtime.Repair, maxRepairs),
	}, nil
}

// Close ends the connection. Containers run on.
func (r *Runtime) Close() error {
	return r.client.Close()
}

// bound returns ctx with containerd's namespace and a deadline. What the client library would write to its own logger it also
// returns as an error.
func (r *Runtime) bound(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	ctx = log.WithLogger(namespaces.WithNamespace(ctx, r.config.Namespace), r.silent)
	return context.WithTimeout(ctx, limit)
}

func silentLogger() *log.Entry {
	logger := logrus.New()
	logger.SetOutput(io.Discard)
	return logrus.NewEntry(logger)
}

// group returns a container's cgroup.
func (r *Runtime) group(id runtime.ContainerID) cgroup.Group {
	return r.tree.Group(r.config.CgroupParent + "/" + string(id))
}
