//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// The tools that operators already know work on a node and on the API.
func TestTools_OperatorsToolsWork(t *testing.T) {
	c := newCluster(t, 1, 1)
	c.ctl("deploy", "hello", "-f", "../examples/hello/runway.yml", "--image", helloArchive(t, c.lab))
	replicas, err := c.replicas("hello")
	if err != nil || len(replicas) != 1 {
		t.Fatalf("replicas: %v %v", replicas, err)
	}
	container := replicas[0].GetReplica().GetId() + "-0"
	if _, err := c.get(c.edges[0], "hello.default."+domain, "/"); err != nil {
		t.Fatal(err)
	}

	t.Run("nerdctl ps lists the replica", func(t *testing.T) {
		c := c.in(t)
		if got := c.nerdctl("ps", "--format", "{{.Names}} {{.Status}}"); !strings.Contains(got, container+" Up") {
			t.Errorf("nerdctl ps: %q, want %s Up", got, container)
		}
	})
	t.Run("nerdctl logs shows what it writes", func(t *testing.T) {
		c := c.in(t)
		eventually(t, 5*time.Second, "the request is in the log", func() error {
			if got := c.nerdctl("logs", container); !strings.Contains(got, `"path":"/"`) {
				return fmt.Errorf("nerdctl logs: %q", got)
			}
			return nil
		})
	})
	t.Run("runwayctl logs shows the same", func(t *testing.T) {
		c := c.in(t)
		if got := c.ctl("logs", "hello"); !strings.Contains(got, `"path":"/"`) {
			t.Errorf("runwayctl logs: %q", got)
		}
	})
	t.Run("the cgroup holds the limits of the manifest", func(t *testing.T) {
		c := c.in(t)
		for file, want := range c.limits(container) {
			text, err := os.ReadFile(file)
			if got := strings.TrimSpace(string(text)); err != nil || got != want {
				t.Errorf("%s: %q, want %q (%v)", file, got, want, err)
			}
		}
	})
	t.Run("grpcurl lists and calls services with CA and token", func(t *testing.T) {
		c := c.in(t)
		listed := c.grpcurl(t, true, "list")
		if !strings.Contains(listed, "runway.v1.Services") || !strings.Contains(listed, "grpc.health.v1.Health") {
			t.Errorf("grpcurl list: %s", listed)
		}
		if got := c.grpcurl(t, true, "runway.v1.Services/ListServices"); !strings.Contains(got, `"service": "hello"`) {
			t.Errorf("grpcurl ListServices: %s", got)
		}
		if got := c.grpcurl(t, true, "grpc.health.v1.Health/Check"); !strings.Contains(got, "SERVING") {
			t.Errorf("grpcurl Health: %s", got)
		}
	})
	t.Run("without a token every method answers Unauthenticated", func(t *testing.T) {
		c := c.in(t)
		methods := c.methods(t)
		if len(methods) < 30 {
			t.Fatalf("only %d methods were found: %v", len(methods), methods)
		}
		for _, method := range methods {
			if method == "runway.v1.Identity/Enrol" {
				continue // its join token is the credential
			}
			if got := c.anonymous(t, method); !strings.Contains(got, "Unauthenticated") {
				t.Errorf("%s without a token: %s", method, got)
			}
		}
	})
	t.Run("a join token that was never made lets nobody in", func(t *testing.T) {
		c := c.in(t)
		if got := c.post(t, "runway.v1.Identity/Enrol", emptyMessage); got != "Unauthenticated" && got != "InvalidArgument" {
			t.Errorf("Enrol with nothing: %s", got)
		}
	})
	t.Run("plain HTTP gets nothing", func(t *testing.T) {
		c := c.in(t)
		conn, err := net.DialTimeout("tcp", c.address(), 3*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		answer := make([]byte, 512)
		if n, _ := conn.Read(answer); strings.Contains(string(answer[:n]), "HTTP/1.1 200") {
			t.Errorf("the API answered plain HTTP: %q", answer[:n])
		}
	})
}

// nerdctl runs on the node of the first agent.
func (c *cluster) nerdctl(args ...string) string {
	c.t.Helper()
	all := append([]string{
		"--address", filepath.Join(c.dir, "containerd-a1", "containerd.sock"),
		"--data-root", filepath.Join(c.dir, "nerdctl-a1"),
		"--namespace", "runway",
	}, args...)
	return run(c.t, binary(c.t, "tools/nerdctl"), all...)
}

// limits are the files of a replica's cgroup and what examples/hello asks for:
// 64 MiB, a quarter of a core, 512 processes.
func (c *cluster) limits(container string) map[string]string {
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		at := "/sys/fs/cgroup/runway-e2e/a1/" + container + "/"
		return map[string]string{at + "memory.max": "67108864", at + "cpu.max": "25000 100000", at + "pids.max": "512"}
	}
	at := func(controller, file string) string {
		return filepath.Join("/sys/fs/cgroup", controller, "runway-e2e/a1", container, file)
	}
	return map[string]string{
		at("memory", "memory.limit_in_bytes"): "67108864",
		at("cpu", "cpu.cfs_quota_us"):         "25000",
		at("cpu", "cpu.cfs_period_us"):        "100000",
		at("pids", "pids.max"):                "512",
	}
}

func (c *cluster) grpcurl(t *testing.T, signedIn bool, what string) string {
	t.Helper()
	output, err := c.tryGrpcurl(t, signedIn, what)
	if err != nil {
		t.Fatalf("grpcurl %s: %v\n%s", what, err, output)
	}
	return output
}

func (c *cluster) tryGrpcurl(t *testing.T, signedIn bool, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	flags := []string{"-cacert", filepath.Join(c.dir, "ca.crt"), "-max-time", "8"}
	if signedIn {
		token, err := os.ReadFile(filepath.Join(c.dir, "admin.token"))
		if err != nil {
			t.Fatal(err)
		}
		flags = append(flags, "-H", "authorization: Bearer "+strings.TrimSpace(string(token)))
	}
	flags = append(flags, c.address())
	output, err := exec.CommandContext(ctx, binary(t, "tools/grpcurl"), append(flags, args...)...).CombinedOutput()
	return string(output), err
}

// methods returns every method that reflection shows to an administrator.
func (c *cluster) methods(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, service := range strings.Fields(c.grpcurl(t, true, "list")) {
		output, err := c.tryGrpcurl(t, true, "list", service)
		if err != nil {
			t.Fatalf("list %s: %v", service, err)
		}
		for _, method := range strings.Fields(output) {
			dot := strings.LastIndexByte(method, '.')
			all = append(all, method[:dot]+"/"+method[dot+1:])
		}
	}
	slices.Sort(all)
	return all
}

// anonymous calls a method without a token, with an empty message and without one,
// and returns what it was told. A stream is refused before its first message, which
// curl takes for a broken one while it sends: only the call without a message is
// certain to show the refusal of a stream, and only that with one that of the others.
func (c *cluster) anonymous(t *testing.T, method string) string {
	t.Helper()
	return c.post(t, method, emptyMessage) + " " + c.post(t, method, "")
}

// emptyMessage is gRPC's frame of a message of no bytes: no compression, length 0.
const emptyMessage = "\x00\x00\x00\x00\x00"

func (c *cluster) post(t *testing.T, method, message string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	command := exec.CommandContext(ctx, "curl", "-sS", "--http2", "--cacert", filepath.Join(c.dir, "ca.crt"),
		"-H", "content-type: application/grpc", "-H", "te: trailers", "--data-binary", "@-", "-D", "-", "-o", "/dev/null",
		"--max-time", "8", "https://"+c.address()+"/"+method)
	command.Stdin = strings.NewReader(message)
	output, _ := command.CombinedOutput() // its complaint is in the output
	return grpcStatus(string(output))
}

// grpcStatus names the status in the headers that curl printed.
func grpcStatus(headers string) string {
	for _, line := range strings.Split(headers, "\n") {
		if value, ok := strings.CutPrefix(strings.ToLower(strings.TrimSpace(line)), "grpc-status:"); ok {
			names := map[string]string{"0": "OK", "3": "InvalidArgument", "7": "PermissionDenied", "12": "Unimplemented", "16": "Unauthenticated"}
			if name := names[strings.TrimSpace(value)]; name != "" {
				return name
			}
		}
	}
	quoted, _ := json.Marshal(headers)
	return string(quoted)
}
