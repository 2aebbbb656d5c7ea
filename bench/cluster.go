package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	yaml "go.yaml.in/yaml/v3"

	"github.com/runway-platform/runway/cli/config"
	"github.com/runway-platform/runway/coordinator/client"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

const (
	// startLimit is how long the cluster may take to be ready.
	startLimit = time.Minute
	// removeLimit bounds the removal, which also runs after an interrupt.
	removeLimit = 3 * time.Minute
)

// components are the platform's own processes, as `runway dev` names them.
var components = []string{"coordinator", "node-1", "ingress-1"}

// cluster is a `runway dev` of our own, and what is known of it.
type cluster struct {
	runway, dir  string
	made         bool // dir was made by us
	process      *exec.Cmd
	https        string
	registry     string
	agentMetrics string
	// metrics are those of each component.
	metrics      map[string]string
	coordMetrics string
	containerd   string
	image        string
	conn         *client.Conn
	services     runwayv1.ServicesClient
	deployments  runwayv1.DeploymentsClient
	poll         *poller
	spec         *runwayv1.RevisionSpec
	deployed     int
	idle         memories
	floor        *floor
}

// startCluster starts one on free ports and pushes the image to its registry.
func startCluster(ctx context.Context, o options) (*cluster, error) {
	c := &cluster{runway: o.runway, dir: o.dir}
	if c.dir == "" {
		dir, err := os.MkdirTemp("", "runway-bench-")
		if err != nil {
			return nil, fmt.Errorf("make directory: %w", err)
		}
		c.dir, c.made = dir, true
	}
	steps := []func(context.Context) error{c.start, c.connect, c.prepareImage, c.prepareFloor}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return nil, c.closeAfter(err)
		}
	}
	return c, nil
}

// start runs `runway dev` until it says ready.
func (c *cluster) start(ctx context.Context) error {
	ports, err := freePorts(8)
	if err != nil {
		return err
	}
	at := func(i int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[i])) }
	c.https, c.registry = at(2), at(4)
	log, err := os.Create(c.path("bench.log"))
	if err != nil {
		return fmt.Errorf("make log: %w", err)
	}
	defer log.Close()
	// Metrics take as many ports in a row as there are processes.
	c.coordMetrics, c.agentMetrics = at(5), at(6)
	c.metrics = map[string]string{"coordinator": at(5), "node-1": at(6), "ingress-1": at(7)}
	c.process = exec.Command(c.runway, "dev", "--data-dir", c.path("data"), "--api", at(0), "--http", at(1), "--https", c.https,
		"--dns", at(3), "--registry", c.registry, "--metrics", c.coordMetrics)
	c.process.Stderr = log
	out, err := c.process.StdoutPipe()
	if err != nil {
		return fmt.Errorf("open output of the cluster: %w", err)
	}
	if err := c.process.Start(); err != nil {
		return fmt.Errorf("start the cluster: %w", err)
	}
	ready := make(chan bool, 1)
	go func() {
		line, _ := bufio.NewReader(out).ReadString('\n')
		ready <- line == "ready\n"
	}()
	limit, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	select {
	case ok := <-ready:
		if ok {
			return nil
		}
		return fmt.Errorf("start the cluster: it ended; see %s", c.path("bench.log"))
	case <-limit.Done():
		return fmt.Errorf("wait for the cluster: %w", limit.Err())
	}
}

// connect reads what `runway dev` wrote for its clients.
func (c *cluster) connect(context.Context) error {
	file, err := config.Load(c.path("data", "runwayctl.yml"))
	if err != nil {
		return err
	}
	chosen, err := file.Select("")
	if err != nil {
		return err
	}
	c.conn, err = client.Dial(client.Config{Addresses: []string{chosen.Address}, CAFile: chosen.CA, Token: chosen.Token, TokenFile: chosen.TokenFile})
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	c.services, c.deployments = runwayv1.NewServicesClient(c.conn), runwayv1.NewDeploymentsClient(c.conn)
	ca, err := os.ReadFile(chosen.CA)
	if err != nil {
		return fmt.Errorf("read CA: %w", err)
	}
	c.poll = newPoller(c.https, ca)
	var node struct{ Containerd string }
	text, err := os.ReadFile(c.path("data", "node-1.yml"))
	if err != nil {
		return fmt.Errorf("read settings of the node: %w", err)
	}
	if err := yaml.Unmarshal(text, &node); err != nil {
		return fmt.Errorf("read settings of the node: %w", err)
	}
	c.containerd = node.Containerd
	return nil
}

// closeAfter removes every trace of the cluster and returns err with what went
// wrong on the way.
func (c *cluster) closeAfter(err error) error {
	say("removing the cluster")
	problems := []error{err}
	if c.floor != nil {
		problems = append(problems, c.floor.close())
	}
	if c.conn != nil {
		problems = append(problems, c.conn.Close())
	}
	ctx, cancel := context.WithTimeout(context.Background(), removeLimit)
	defer cancel()
	out, removeErr := exec.CommandContext(ctx, c.runway, "dev", "remove", "--data-dir", c.path("data")).CombinedOutput()
	if removeErr != nil {
		problems = append(problems, fmt.Errorf("remove the cluster: %w: %s", removeErr, strings.TrimSpace(string(out))))
	}
	if c.process != nil && c.process.Process != nil {
		c.process.Wait() //nolint:errcheck // it was told to end; how is in its log
	}
	if c.made && err == nil && removeErr == nil {
		problems = append(problems, os.RemoveAll(c.dir))
	}
	return errors.Join(problems...)
}

// pid returns the process of a component.
func (c *cluster) pid(component string) (int, error) {
	text, err := os.ReadFile(c.path("data", component+".pid"))
	if err != nil {
		return 0, fmt.Errorf("find process of %s: %w", component, err)
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}

func (c *cluster) path(parts ...string) string {
	return filepath.Join(append([]string{c.dir}, parts...)...)
}

// freePorts returns n ports in a row that nobody listens on now.
func freePorts(n int) ([]int, error) {
	const first, last = 11000, 19000
	for start := first; start < last; start += n {
		if ports := inRow(start, n); ports != nil {
			return ports, nil
		}
	}
	return nil, errors.New("find free ports: none in a row")
}

func inRow(start, n int) []int {
	var ports []int
	for port := start; port < start+n; port++ {
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			return nil
		}
		if listener.Close() != nil {
			return nil
		}
		ports = append(ports, port)
	}
	return ports
}
