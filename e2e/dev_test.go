//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// `runway dev` with two of each: the manifest of the README runs on both nodes and
// answers on both ingresses, a part that dies is started again, services outlive the
// platform, and `remove` leaves nothing.
func TestDev_TwoNodesAndTwoIngresses(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: make e2e")
	}
	before := traces(t)
	dir, err := os.MkdirTemp("", "rw-dev-") //nolint:usetesting // short: sockets live in it
	if err != nil {
		t.Fatal(err)
	}
	d := &devCluster{t: t, dir: dir}
	t.Cleanup(d.remove)
	d.start()

	manifest := filepath.Join(t.TempDir(), "runway.yml")
	if err := os.WriteFile(manifest, []byte(strings.Join(readmeBlock(t, "apiVersion: runway/v1"), "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	archive := filepath.Join(t.TempDir(), "hello.tar")
	run(t, "go", "run", "../examples/build", "-o", archive, "../examples/hello")
	d.ctl("validate", "-f", manifest)
	d.ctl("deploy", "hello", "-f", manifest, "--image", "docker-archive:"+archive)
	d.ctl("scale", "hello", "4")
	d.serve(4, 2)

	number, err := strconv.Atoi(strings.TrimSpace(d.read("ingress-2.pid")))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(number, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	d.serve(4, 2)

	d.stop()
	d.start()
	d.serve(4, 2)

	if err := d.process.Process.Kill(); err != nil { // its children have to be ended by remove
		t.Fatal(err)
	}
	d.process.Wait() //nolint:errcheck // it was killed
	d.process = nil
	d.remove()
	compare(t, before)
}

// devCluster is one `runway dev`, on ports that the demo does not use.
type devCluster struct {
	t       *testing.T
	dir     string
	process *exec.Cmd
}

func (d *devCluster) start() {
	d.t.Helper()
	d.process = exec.Command(binary(d.t, "runway"), "dev", "--data-dir", d.dir, "--nodes", "2", "--ingresses", "2",
		"--api", "127.0.0.1:17443", "--http", "127.0.0.1:18080", "--https", "127.0.0.1:18443", "--dns", "127.0.0.1:15353",
		"--registry", "127.0.0.1:15000", "--metrics", "127.0.0.1:19464")
	output, err := d.process.StdoutPipe()
	if err != nil {
		d.t.Fatal(err)
	}
	var log bytes.Buffer
	d.process.Stderr = &log
	if err := d.process.Start(); err != nil {
		d.t.Fatal(err)
	}
	if line, err := bufio.NewReader(output).ReadString('\n'); line != "ready\n" {
		d.t.Fatalf("runway dev says %q, %v\n%s", line, err, log.String())
	}
}

// stop ends the platform as Ctrl-C would.
func (d *devCluster) stop() {
	d.t.Helper()
	if err := d.process.Process.Signal(syscall.SIGINT); err != nil {
		d.t.Fatal(err)
	}
	if err := d.process.Wait(); err != nil {
		d.t.Errorf("runway dev: %v", err)
	}
	d.process = nil
}

func (d *devCluster) remove() {
	run(d.t, binary(d.t, "runway"), "dev", "remove", "--data-dir", d.dir)
}

func (d *devCluster) ctl(args ...string) string {
	d.t.Helper()
	return run(d.t, binary(d.t, "runwayctl"), append([]string{"--config", filepath.Join(d.dir, "runwayctl.yml")}, args...)...)
}

func (d *devCluster) read(name string) string {
	d.t.Helper()
	text, err := os.ReadFile(filepath.Join(d.dir, name))
	if err != nil {
		d.t.Fatal(err)
	}
	return string(text)
}

// serve waits until so many replicas serve on so many nodes, and both ingresses
// answer for them.
func (d *devCluster) serve(replicas, nodes int) {
	d.t.Helper()
	eventually(d.t, 60*time.Second, "the service serves", func() error {
		var reply runwayv1.ListReplicasResponse
		if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal([]byte(d.ctl("ps", "hello", "-o", "json")), &reply); err != nil {
			return err
		}
		on := map[string]int{}
		for _, r := range reply.GetReplicas() {
			on[r.GetNodeName()]++
		}
		if len(on) != nodes {
			return fmt.Errorf("replicas by node: %v", on)
		}
		return servingCount(reply.GetReplicas(), nil, replicas)
	})
	for _, address := range []string{"127.0.0.1:18443", "127.0.0.1:18444"} {
		eventually(d.t, 20*time.Second, "an answer at "+address, func() error { return d.ask(address) })
	}
}

// ask wants the service's answer from one ingress, with the cluster's certificate.
func (d *devCluster) ask(address string) error {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(d.read("ca.crt")))
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", address)
		},
	}}
	response, err := client.Get("https://hello.default.runway.localhost/")
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", address, response.Status)
	}
	return nil
}
