//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	yaml "go.yaml.in/yaml/v3"
)

// Ports of the lab's processes.
const (
	apiPort      = 7443
	httpPort     = 80
	httpsPort    = 443
	dnsPort      = 53
	internalDNS  = 10053
	internalHTTP = 10080
	metricsPort  = 9464
	registryPort = 5000
	domain       = "runway.test"
)

// cluster is a coordinator, agents and ingresses, each a process on a host of its own.
type cluster struct {
	*lab
	coordinator *process
	agents      []*process
	ingresses   []*process
	nodes       []host
	edges       []host
	config      string // of runwayctl
}

// in is the same cluster, whose failures are those of a subtest.
func (c *cluster) in(t testing.TB) *cluster {
	other := *c
	other.lab = c.lab.in(t)
	return &other
}

// newCluster starts one coordinator with the given numbers of agents and ingresses
// and waits until it can be deployed to.
func newCluster(t testing.TB, agents, ingresses int) *cluster {
	t.Helper()
	c := &cluster{lab: newLab(t)}
	c.serveRegistry()
	c.startCoordinator()
	for i := range agents {
		c.startAgent(i)
	}
	for i := range ingresses {
		c.startIngress(i)
	}
	eventually(t, 30*time.Second, "cluster is ready", func() error { return c.complete(agents, ingresses) })
	return c
}

// serveRegistry is where images are pushed to and pulled from.
func (c *cluster) serveRegistry() {
	listener, err := net.Listen("tcp", fmt.Sprintf("%s:%d", labTest, registryPort))
	if err != nil {
		c.t.Fatal(err)
	}
	server := &http.Server{Handler: registry.New(registry.Logger(discard())), ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		server.Serve(listener) //nolint:errcheck // it ends with Close
	}()
	c.t.Cleanup(func() { server.Close(); <-ended })
}

func (c *cluster) registryAddress() string { return fmt.Sprintf("%s:%d", labTest, registryPort) }

func (c *cluster) startCoordinator() {
	c.t.Helper()
	h := c.host("c1", 10)
	address := h.at(apiPort)
	c.coordinator = c.start("coordinator", h, "coordinator", map[string]any{
		"data-dir":              filepath.Join(c.dir, "coordinator"),
		"listen":                address,
		"metrics":               h.at(metricsPort),
		"domain":                domain,
		"registry":              c.registryAddress(),
		"plain-http-registries": []string{c.registryAddress()},
		"bootstrap":             true,
		"admin-token-file":      filepath.Join(c.dir, "admin.token"),
		"ca-file":               filepath.Join(c.dir, "ca.crt"),
	})
	c.config = filepath.Join(c.dir, "runwayctl.yml")
	c.writeYAML(c.config, 0o600, map[string]any{
		"address": address, "ca": filepath.Join(c.dir, "ca.crt"), "token_file": filepath.Join(c.dir, "admin.token"),
	})
	eventually(c.t, 20*time.Second, "coordinator leads", func() error {
		_, err := c.try("spaces", "list")
		return err
	})
}

func (c *cluster) startAgent(i int) {
	c.t.Helper()
	name := fmt.Sprintf("a%d", i+1)
	h := c.host(name, byte(21+i))
	socket := c.startContainerd(name)
	c.nodes = append(c.nodes, h)
	c.agents = append(c.agents, c.start(name, h, "agent", map[string]any{
		"data-dir":              filepath.Join(c.dir, name),
		"name":                  name,
		"coordinator":           []string{c.address()},
		"join-token-file":       c.joinToken("node"),
		"metrics":               h.at(metricsPort),
		"node-address":          h.address.String(),
		"subnet":                fmt.Sprintf("10.64.%d.0/24", i+1),
		"deny-egress":           []string{"10.99.0.0/24"},
		"instance":              "e2e-" + name,
		"containerd":            socket,
		"containerd-root":       filepath.Join(c.dir, "containerd-"+name, "root"),
		"containerd-state":      filepath.Join(c.dir, "containerd-"+name, "state"),
		"nerdctl-root":          filepath.Join(c.dir, "nerdctl-"+name),
		"cgroup-parent":         "/runway-e2e/" + name,
		"plain-http-registries": []string{c.registryAddress()},
	}))
	c.t.Cleanup(func() { c.removeAgent(name, h) })
}

// removeAgent takes the node's replicas off the machine. The agent is stopped first:
// it would repair what is taken away.
func (c *cluster) removeAgent(name string, h host) {
	c.named(name).stop(c.t)
	if containerd := c.named("containerd-" + name); containerd.ended == nil {
		containerd.run(c.t)
		c.awaitContainerd(name)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	output, err := h.command(ctx, binary(c.t, "runway"), "agent", "remove", "--config", filepath.Join(c.dir, name+".yml")).CombinedOutput()
	if err != nil {
		c.t.Errorf("remove agent %s: %v\n%s", name, err, output)
	}
}

// startContainerd runs a containerd with directories of its own.
func (c *cluster) startContainerd(name string) string {
	c.t.Helper()
	dir := filepath.Join(c.dir, "containerd-"+name)
	if err := os.MkdirAll(dir, 0o711); err != nil {
		c.t.Fatal(err)
	}
	socket := filepath.Join(dir, "containerd.sock")
	config := fmt.Sprintf("version = 2\nroot = %q\nstate = %q\noom_score = 0\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\", \"io.containerd.internal.v1.opt\"]\n[grpc]\n  address = %q\n[debug]\n  level = \"warn\"\n",
		filepath.Join(dir, "root"), filepath.Join(dir, "state"), socket)
	file := filepath.Join(dir, "config.toml")
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		c.t.Fatal(err)
	}
	c.process("containerd-"+name, func(ctx context.Context) *exec.Cmd {
		return exec.CommandContext(ctx, "containerd", "--config", file)
	})
	c.awaitContainerd(name)
	return socket
}

func (c *cluster) awaitContainerd(name string) {
	c.t.Helper()
	eventually(c.t, 20*time.Second, "containerd answers", func() error {
		conn, err := net.Dial("unix", filepath.Join(c.dir, "containerd-"+name, "containerd.sock"))
		if err == nil {
			conn.Close()
		}
		return err
	})
}

func (c *cluster) startIngress(i int) {
	c.t.Helper()
	name := fmt.Sprintf("i%d", i+1)
	h := c.host(name, byte(31+i))
	c.edges = append(c.edges, h)
	c.ingresses = append(c.ingresses, c.start(name, h, "ingress", map[string]any{
		"data-dir":        filepath.Join(c.dir, name),
		"name":            name,
		"coordinator":     []string{c.address()},
		"join-token-file": c.joinToken("ingress"),
		"metrics":         h.at(metricsPort),
		"http":            []string{h.at(httpPort)},
		"https":           []string{h.at(httpsPort)},
		"dns":             h.at(dnsPort),
		"internal-dns":    h.at(internalDNS),
		"internal-http":   []string{h.at(internalHTTP)},
		"public-address":  []string{h.address.String(), fmt.Sprintf("2001:db8::%d", 31+i)},
		"source-address":  h.address.String(),
		"drain-timeout":   "2s",
	}))
}

// start writes a configuration file and runs one role of the product with it.
func (c *cluster) start(name string, h host, role string, settings map[string]any) *process {
	c.t.Helper()
	file := filepath.Join(c.dir, name+".yml")
	c.writeYAML(file, 0o644, settings)
	program := binary(c.t, "runway")
	return c.process(name, func(ctx context.Context) *exec.Cmd {
		return h.command(ctx, program, role, "--config", file)
	})
}

func (c *cluster) address() string { return fmt.Sprintf("10.99.0.10:%d", apiPort) }

func (c *cluster) writeYAML(path string, mode os.FileMode, content map[string]any) {
	c.t.Helper()
	text, err := yaml.Marshal(content)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(path, text, mode); err != nil {
		c.t.Fatal(err)
	}
}

// joinToken returns a file with a fresh token.
func (c *cluster) joinToken(role string) string {
	c.t.Helper()
	file, err := os.CreateTemp(c.dir, role+"-*.join")
	if err != nil {
		c.t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteString(strings.TrimSpace(c.ctl("nodes", "join-token", "--role", role))); err != nil {
		c.t.Fatal(err)
	}
	return file.Name()
}

// ctl runs runwayctl and fails the test when it fails.
func (c *cluster) ctl(args ...string) string {
	c.t.Helper()
	output, err := c.try(args...)
	if err != nil {
		c.t.Fatal(err)
	}
	return output
}

// try runs runwayctl and returns what it wrote to stdout.
func (c *cluster) try(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, binary(c.t, "runwayctl"), append([]string{"--config", c.config}, args...)...)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		return stdout.String(), fmt.Errorf("runwayctl %s: %w\n%s%s", strings.Join(args, " "), err, stdout.String(), stderr.String())
	}
	return stdout.String(), nil
}

// json runs runwayctl -o json and decodes what it printed.
func (c *cluster) json(into any, args ...string) error {
	output, err := c.try(append([]string{"-o", "json"}, args...)...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(output), into); err != nil {
		return fmt.Errorf("decode output of %s: %w\n%s", strings.Join(args, " "), err, output)
	}
	return nil
}

// complete says what the cluster still lacks.
func (c *cluster) complete(agents, ingresses int) error {
	var nodes struct {
		Nodes []struct {
			Node struct {
				Status struct{ Phase string }
			}
		}
	}
	if err := c.json(&nodes, "nodes", "list"); err != nil {
		return err
	}
	ready := 0
	for _, n := range nodes.Nodes {
		if strings.HasSuffix(n.Node.Status.Phase, "READY") {
			ready++
		}
	}
	if ready < agents {
		return fmt.Errorf("%d of %d nodes are ready", ready, agents)
	}
	for _, edge := range c.edges[:ingresses] {
		if _, err := c.get(edge, "no-such-host."+domain, "/"); err != nil && !strings.Contains(err.Error(), "remote error: tls") {
			return err
		}
	}
	return nil
}

// client returns an HTTP client that verifies against the cluster's CA, sends
// everything to one ingress, and never retries or reuses a connection.
func (c *cluster) client(edge host) *http.Client {
	pem, err := os.ReadFile(filepath.Join(c.dir, "ca.crt"))
	if err != nil {
		c.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	dialer := &net.Dialer{Timeout: 3 * time.Second}
	return &http.Client{
		Timeout: 10 * time.Second,
		Transport: &http.Transport{
			TLSClientConfig:   &tls.Config{RootCAs: roots},
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return dialer.DialContext(ctx, "tcp", edge.at(httpsPort))
			},
		},
	}
}

// answer is what an ingress said.
type answer struct {
	status int
	body   string
	header http.Header
}

// get asks one ingress over HTTPS.
func (c *cluster) get(edge host, name, path string) (answer, error) {
	response, err := c.client(edge).Get("https://" + name + path)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	return answer{status: response.StatusCode, body: string(body), header: response.Header}, err
}
