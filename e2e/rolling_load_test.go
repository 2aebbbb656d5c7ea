//go:build e2e

package e2e

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"
)

// What clients of a rolled service are told to ask for.
const (
	rollingService = "rolling"
	rollingPublic  = rollingService + ".default." + domain
	rollingInside  = rollingService + ".default.internal"
)

// rollingManifest is of a service that answers as fast as it can: what is measured
// is the path to it.
const rollingManifest = `apiVersion: runway/v1
kind: RunwayService
metadata:
  name: rolling
spec:
  container_port: 8080
  resources:
    limits:
      cpu: 2000m
      memory: 128Mi
  scalability:
    min_instances: 1
    max_instances: 20
  startup_probe:
    path: /healthz
    period_seconds: 1
    timeout_seconds: 5
    failure_threshold: 60
  liveness_probe:
    path: /healthz
    timeout_seconds: 5
`

// rolled is a service whose every revision says its own number.
type rolled struct {
	c *cluster
	*history
}

// history is what was done to a rolled service, by whichever test.
type history struct {
	revision int
	// orphan is the container whose shim was killed last.
	orphan string
	// pending is a deployment that may not be over.
	pending <-chan outcome
}

// newRolled deploys revision 1 and scales it.
func newRolled(c *cluster, replicas int) *rolled {
	c.t.Helper()
	r := &rolled{c: c, history: &history{}}
	c.ctl(r.next()...)
	c.ctl("scale", rollingService, fmt.Sprint(replicas))
	eventually(c.t, 60*time.Second, "all replicas serve", func() error {
		rows, err := c.replicas(rollingService)
		return servingCount(rows, err, replicas)
	})
	return r
}

// in is the same service, whose failures are those of a subtest.
func (r *rolled) in(t testing.TB) *rolled { return &rolled{c: r.c.in(t), history: r.history} }

// next writes the manifest of the next revision and returns how to deploy it.
func (r *rolled) next(more ...string) []string {
	r.c.t.Helper()
	return append(r.nextOf(""), more...)
}

// nextOf is next with more environment. The service ends at once when it is asked to:
// that its requests are answered is the platform's promise.
func (r *rolled) nextOf(environment string) []string {
	r.c.t.Helper()
	r.revision++
	dir := r.c.manifest(rollingService, rollingManifest, fmt.Sprintf("NAME: %s/%d\nABRUPT: \"yes\"\n%s", rollingService, r.revision, environment))
	return []string{"deploy", rollingService, "-f", dir, "--image", serviceArchive(r.c.t, r.c.lab), "-m", fmt.Sprintf("revision %d", r.revision)}
}

// manifest writes a folder with a manifest and its environment.
func (c *cluster) manifest(name, text, environment string) string {
	c.t.Helper()
	dir := filepath.Join(c.dir, "manifest-"+name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		c.t.Fatal(err)
	}
	for file, content := range map[string]string{"runway.yml": text, "env-production.yml": environment} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o644); err != nil {
			c.t.Fatal(err)
		}
	}
	return dir
}

// serviceArchive builds the image of bench/rolling/service, once per lab.
func serviceArchive(t testing.TB, l *lab) string {
	t.Helper()
	archive := filepath.Join(l.dir, "service.tar")
	if _, err := os.Stat(archive); err != nil {
		run(t, "go", "run", "../examples/build", "-o", archive, "../bench/rolling/service")
	}
	return "docker-archive:" + archive
}

// clients is a running bench/rolling on a host of its own.
type clients struct {
	c       *cluster
	process *exec.Cmd

	mu     sync.Mutex
	newest loadSummary
	ended  chan struct{} // closed when there is nothing more to read
}

// loadSummary is what bench/rolling reports.
type loadSummary struct {
	Final     bool              `json:"final"`
	Elapsed   time.Duration     `json:"elapsed_ns"`
	Requests  int64             `json:"requests"`
	Failed    int64             `json:"failed"`
	Rows      []loadRow         `json:"rows"`
	Revisions map[string]int64  `json:"revisions"`
	Described []json.RawMessage `json:"described"`
	Troubled  time.Duration     `json:"troubled_ns"`
}

type loadRow struct {
	Edge        string           `json:"edge"`
	Kind        string           `json:"kind"`
	Unpaced     bool             `json:"unpaced"`
	Requests    int64            `json:"requests"`
	Connections int64            `json:"connections"`
	Failures    map[string]int64 `json:"failures"`
	P50         time.Duration    `json:"p50_ns"`
	P99         time.Duration    `json:"p99_ns"`
	Max         time.Duration    `json:"max_ns"`
}

// startClients loads the given ingresses with at most rate requests per second and
// waits until every kind of client has had answers. Some requests are always in flight.
func (c *cluster) startClients(rate int, edges ...host) *clients {
	c.t.Helper()
	return c.startClientsWith(beside{slow: 1}, rate, edges...)
}

// beside is what clients do beside the requests that come by the rate, each kind at
// each ingress: so many streams, for so long, and so many slow requests.
type beside struct {
	streams int
	life    time.Duration
	slow    int
}

// startClientsWith is startClients with more beside the requests.
func (c *cluster) startClientsWith(b beside, rate int, edges ...host) *clients {
	c.t.Helper()
	program := filepath.Join(c.dir, "rolling")
	if _, err := os.Stat(program); err != nil {
		run(c.t, "go", "build", "-o", program, "../bench/rolling")
	}
	var addresses []string
	for _, edge := range edges {
		addresses = append(addresses, strings.TrimPrefix(edge.name, labHosts)+"="+edge.address.String())
	}
	command := c.clientHost().command(context.Background(), program,
		"-edges", strings.Join(addresses, ","), "-tls-port", fmt.Sprint(httpsPort), "-plain-port", fmt.Sprint(internalHTTP),
		"-tls-name", rollingPublic, "-plain-name", rollingInside, "-ca", filepath.Join(c.dir, "ca.crt"),
		"-name", rollingService, "-rate", fmt.Sprint(rate), "-streams", fmt.Sprint(b.streams), "-stream-life", b.life.String(), "-slow", fmt.Sprint(b.slow))
	output, err := command.StdoutPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	command.Stderr = os.Stderr
	if err := command.Start(); err != nil {
		c.t.Fatal(err)
	}
	l := &clients{c: c, process: command, ended: make(chan struct{})}
	go l.read(output)
	c.t.Cleanup(func() { l.stop() })
	eventually(c.t, 20*time.Second, "every kind of client is answered", func() error { return l.all(b.streams) })
	return l
}

// clientHost is made once per lab.
func (c *cluster) clientHost() host {
	h := host{name: "rwe2e-clients", address: netip.MustParseAddr("10.99.0.50")}
	if _, err := os.Stat("/run/netns/" + h.name); err == nil {
		return h
	}
	return c.host("clients", 50)
}

// read keeps the newest report.
func (l *clients) read(output io.Reader) {
	defer close(l.ended)
	lines := bufio.NewScanner(output)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var s loadSummary
		if json.Unmarshal(lines.Bytes(), &s) == nil {
			l.mu.Lock()
			l.newest = s
			l.mu.Unlock()
		}
	}
}

func (l *clients) now() loadSummary {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.newest
}

// all returns an error unless every kind of client has asked, and all streams are open.
func (l *clients) all(streams int) error {
	s := l.now()
	if len(s.Rows) == 0 {
		return fmt.Errorf("no report yet")
	}
	for _, row := range s.Rows {
		if row.Requests == 0 || row.stream() && row.Requests < int64(streams) {
			return fmt.Errorf("%s %s asked %d times", row.Edge, row.Kind, row.Requests)
		}
	}
	return nil
}

// stop ends the clients and returns their final counts.
func (l *clients) stop() loadSummary {
	l.c.t.Helper()
	if l.process == nil {
		return l.now()
	}
	if err := l.process.Process.Signal(syscall.SIGTERM); err != nil {
		l.c.t.Errorf("stop the clients: %v", err)
	}
	<-l.ended
	if err := l.process.Wait(); err != nil {
		l.c.t.Errorf("clients: %v", err)
	}
	l.process = nil
	s := l.now()
	if !s.Final {
		l.c.t.Error("the clients ended without their final counts")
	}
	return s
}

// stream tells a row of streams by its kind.
func (r loadRow) stream() bool {
	return strings.HasSuffix(r.Kind, "events") || strings.HasSuffix(r.Kind, "websocket")
}

// rate is the requests per second that were reached.
func (s loadSummary) rate() float64 { return float64(s.Requests) / s.Elapsed.Seconds() }

// failures describes the first failed requests.
func (s loadSummary) failures() string {
	var text strings.Builder
	for _, f := range s.Described {
		fmt.Fprintf(&text, "%s\n", f)
	}
	return text.String()
}

// String is the table that people read.
func (s loadSummary) String() string {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "INGRESS\tCLIENTS\tREQUESTS\tCONNECTIONS\tFAILED\tP50\tP99\tMAX")
	for _, r := range s.Rows {
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%s\t%s\t%s\t%s\n", r.Edge, r.Kind, r.Requests, r.Connections, kindsOf(r.Failures),
			r.P50.Round(10*time.Microsecond), r.P99.Round(10*time.Microsecond), r.Max.Round(10*time.Microsecond))
	}
	w.Flush() //nolint:errcheck // into memory
	fmt.Fprintf(&text, "all: %d requests, %d failed, %.0f requests/s for %s\n", s.Requests, s.Failed, s.rate(), s.Elapsed.Round(time.Second))
	fmt.Fprintf(&text, "requests by revision: %s\n", kindsOf(s.Revisions))
	return text.String()
}

// kindsOf is "name=count" of each, shorter names first so that numbers are in their
// order; "0" of none.
func kindsOf(counts map[string]int64) string {
	var all []string
	for _, name := range slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
	}) {
		all = append(all, fmt.Sprintf("%s=%d", name, counts[name]))
	}
	if len(all) == 0 {
		return "0"
	}
	return strings.Join(all, " ")
}

// dialInside connects to the internal listener of an ingress.
func (c *cluster) dialInside(edge host) net.Conn {
	c.t.Helper()
	conn, err := net.DialTimeout("tcp", edge.at(internalHTTP), 3*time.Second)
	if err != nil {
		c.t.Fatal(err)
	}
	return conn
}

// readAll returns what came before the end, however it came.
func readAll(conn net.Conn) string {
	text, _ := io.ReadAll(io.LimitReader(conn, 1<<20)) // what came counts
	return string(text)
}
