package dev

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/runway-platform/runway/coordinator/client"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

const (
	// startDeadline bounds every wait for a process at start-up.
	startDeadline = 60 * time.Second
	// poll is how often a process that is starting is asked whether it is there.
	poll = 20 * time.Millisecond
	// joinTokenLife is longer than any start-up here takes.
	joinTokenLife = 15 * time.Minute
)

// Run keeps a cluster running until ctx ends. It calls ready once, when the
// cluster can be deployed to.
func Run(ctx context.Context, c Config, log *slog.Logger, ready func()) error {
	if err := c.Validate(); err != nil {
		return err
	}
	release, err := c.claim(log)
	if err != nil {
		return err
	}
	defer release()
	if err := c.endChildren(ctx); err != nil {
		return err
	}

	group, ctx := errgroup.WithContext(ctx)
	cluster := &cluster{config: c, log: log, group: group, ctx: ctx}
	group.Go(func() error {
		if err := cluster.start(ctx); err != nil {
			return err
		}
		ready()
		return nil
	})
	return group.Wait()
}

// cluster starts processes into a group that owns them.
type cluster struct {
	config Config
	log    *slog.Logger
	group  *errgroup.Group
	ctx    context.Context // of the group: the life of all processes
	conn   *client.Conn
}

// start brings the parts up in the order in which they need each other.
func (c *cluster) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startDeadline)
	defer cancel()
	containerd, err := c.startContainerd(ctx)
	if err != nil {
		return err
	}
	if err := c.startRegistry(); err != nil {
		return err
	}
	if err := c.startCoordinator(ctx); err != nil {
		return err
	}
	defer c.conn.Close()
	for i := 1; i <= c.config.Nodes; i++ {
		if err := c.startMember(ctx, "agent", nodeName(i), runwayv1.Role_ROLE_NODE, c.config.nodeSettings(i, containerd)); err != nil {
			return err
		}
	}
	for i := 1; i <= c.config.Ingresses; i++ {
		if err := c.startMember(ctx, "ingress", ingressName(i), runwayv1.Role_ROLE_INGRESS, c.config.ingressSettings(i)); err != nil {
			return err
		}
	}
	return c.waitReady(ctx)
}

func (c *cluster) startContainerd(ctx context.Context) (string, error) {
	socket, command, err := c.config.containerdSocket(ctx, defaultContainerd)
	if err != nil {
		return "", err
	}
	if command != nil {
		c.run("containerd", command...)
	}
	return socket, c.wait(ctx, "containerd", func(ctx context.Context) error {
		if !answers(ctx, socket) {
			return fmt.Errorf("nothing answers at %s", socket)
		}
		return nil
	})
}

func (c *cluster) startRegistry() error {
	r, err := newRegistry(c.ctx, c.config.Registry, c.config.path("registry"))
	if err != nil {
		return err
	}
	c.group.Go(func() error { return r.Run(c.ctx) })
	return nil
}

// startCoordinator waits until it leads, and keeps a connection to it.
func (c *cluster) startCoordinator(ctx context.Context) error {
	if err := c.startProcess("coordinator", "coordinator", c.config.coordinatorSettings()); err != nil {
		return err
	}
	return c.wait(ctx, "coordinator", func(ctx context.Context) error {
		conn, err := client.Dial(client.Config{
			Addresses: []string{c.config.API},
			CAFile:    c.config.path("ca.crt"),
			TokenFile: c.config.path("admin.token"),
		})
		if err != nil {
			return err
		}
		if _, err := runwayv1.NewClusterAPIClient(conn).Info(ctx, &runwayv1.InfoRequest{}); err != nil {
			return errors.Join(err, conn.Close())
		}
		c.conn = conn
		return c.config.writeContext()
	})
}

// startMember gives an agent or ingress a join token, unless it has joined before.
func (c *cluster) startMember(ctx context.Context, role, name string, kind runwayv1.Role, s settings) error {
	if err := c.writeJoinToken(ctx, name, kind); err != nil {
		return err
	}
	return c.startProcess(role, name, s)
}

func (c *cluster) writeJoinToken(ctx context.Context, name string, kind runwayv1.Role) error {
	if _, err := client.LoadIdentity(c.config.path(name, "identity")); err == nil {
		return nil
	}
	answer, err := runwayv1.NewNodesClient(c.conn).CreateJoinToken(ctx, &runwayv1.CreateJoinTokenRequest{
		Role: kind, Uses: 1, Ttl: durationpb.New(joinTokenLife),
	})
	if err != nil {
		return fmt.Errorf("create join token for %s: %w", name, err)
	}
	if err := os.WriteFile(c.config.path(name+".join"), []byte(answer.GetToken()+"\n"), 0o600); err != nil {
		return fmt.Errorf("write join token of %s: %w", name, err)
	}
	return nil
}

// startProcess writes the settings and runs `runway ROLE` with them.
func (c *cluster) startProcess(role, name string, s settings) error {
	file := c.config.path(name + ".yml")
	if err := s.write(file); err != nil {
		return err
	}
	c.run(name, c.config.Executable, role, "--config", file)
	return nil
}

// run keeps a process running for the life of the group.
func (c *cluster) run(name string, command ...string) {
	process := &child{name: name, command: command, dir: c.config.DataDir, log: c.log}
	c.group.Go(func() error { return process.Run(c.ctx) })
}

// waitReady waits until every agent and ingress of this start has its session, and
// the first space can be deployed to. The processes are asked themselves: the state
// remembers those of the start before.
func (c *cluster) waitReady(ctx context.Context) error {
	return c.wait(ctx, "cluster", func(ctx context.Context) error {
		if err := c.config.connected(ctx); err != nil {
			return err
		}
		nodes, err := runwayv1.NewNodesClient(c.conn).ListNodes(ctx, &runwayv1.ListNodesRequest{})
		if err != nil {
			return err
		}
		ingresses, err := runwayv1.NewNodesClient(c.conn).ListIngresses(ctx, &runwayv1.ListIngressesRequest{})
		if err != nil {
			return err
		}
		spaces, err := runwayv1.NewSpacesClient(c.conn).ListSpaces(ctx, &runwayv1.ListSpacesRequest{})
		if err != nil {
			return err
		}
		return c.config.missing(nodes.GetNodes(), ingresses.GetViews(), spaces.GetSpaces())
	})
}

// missing says what a cluster still lacks, nil when it is complete.
func (c Config) missing(nodes []*runwayv1.NodeView, ingresses []*runwayv1.IngressView, spaces []*runwayv1.Space) error {
	ready, live, open := 0, 0, 0
	for _, n := range nodes {
		if n.GetNode().GetStatus().GetPhase() == runwayv1.NodePhase_NODE_PHASE_READY {
			ready++
		}
	}
	for _, i := range ingresses {
		if i.GetIngress().GetStatus().GetPhase() == runwayv1.IngressPhase_INGRESS_PHASE_LIVE {
			live++
		}
	}
	for _, s := range spaces {
		if s.GetStatus().GetPhase() == runwayv1.SpacePhase_SPACE_PHASE_READY {
			open++
		}
	}
	if ready < c.Nodes || live < c.Ingresses || open == 0 {
		return fmt.Errorf("%d of %d nodes, %d of %d ingresses, %d spaces are ready", ready, c.Nodes, live, c.Ingresses, open)
	}
	return nil
}

// wait asks until there is no error; the last error tells what was missing.
func (c *cluster) wait(ctx context.Context, what string, ask func(context.Context) error) error {
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s (see %s): %w", what, c.config.path("*.log"), err)
		case <-time.After(poll):
		}
	}
}
