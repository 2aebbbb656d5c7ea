package cli

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/runway-platform/runway/cli/clitest"
	"github.com/runway-platform/runway/cli/doctor"
	"github.com/runway-platform/runway/cli/doctor/doctortest"
	"github.com/runway-platform/runway/coordinator/client"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
)

var update = flag.Bool("update", false, "write golden files")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// run is one run of the command line against a fake cluster.
type run struct {
	fake *clitest.Fake
	args string
	// words are further arguments, which may be empty or have spaces.
	words []string
	env   map[string]string
	stdin string
	// tty makes every stream a terminal.
	tty bool
	// dir replaces DIR in args and is replaced in the output.
	dir string
	ctx context.Context
	// expires is when the token ends, if it ends soon.
	expires time.Time
	// machine is what doctor looks at; a node that lacks nothing when nil.
	machine *doctor.Machine
	// dialled is what the command line connected with.
	dialled client.Config
}

// conn is a connection that has heard when its token ends.
type conn struct {
	*grpc.ClientConn
	expires time.Time
}

func (c conn) TokenExpires() time.Time { return c.expires }

// outcome is what the user sees of a run.
type outcome struct {
	exit           int
	stdout, stderr string
}

func (r *run) do(t *testing.T) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	ctx := r.ctx
	if ctx == nil {
		ctx = t.Context()
	}
	env := map[string]string{"RUNWAY_ADDRESS": "127.0.0.1:7443", "RUNWAY_CA": "/ca.crt"}
	for k, v := range r.env {
		env[k] = strings.ReplaceAll(v, "DIR", r.dir)
	}
	machine := doctortest.Healthy().Machine()
	if r.machine != nil {
		machine = *r.machine
	}
	exit := Run(ctx, Process{
		Machine: machine,
		Stdin:   strings.NewReader(r.stdin), Stdout: &stdout, Stderr: &stderr,
		StdinTerminal: r.tty, StdoutTerminal: r.tty, StderrTerminal: r.tty, Width: 72,
		LookupEnv: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
		Now:       clitest.Now.Local, Build: Build{Version: "v1.2.3", Commit: "abc", Go: "go1.26"},
		Dial: func(c client.Config) (Conn, error) {
			r.dialled = c
			return conn{r.fake.Start(t), r.expires}, c.Validate()
		},
	}, append(strings.Fields(strings.ReplaceAll(r.args, "DIR", r.dir)), r.words...))
	return outcome{exit, r.hide(stdout.String()), r.hide(stderr.String())}
}

func (r *run) hide(s string) string {
	if r.dir == "" {
		return s
	}
	return strings.ReplaceAll(s, r.dir, "DIR")
}

// golden compares a run with testdata/NAME.txtar, or writes it with -update.
func (r *run) golden(t *testing.T, name string) {
	t.Helper()
	o := r.do(t)
	got := fmt.Sprintf("$ runwayctl %s\nexit %d\n-- stdout --\n%s-- stderr --\n%s", r.args, o.exit, visible(o.stdout), visible(o.stderr))
	path := filepath.Join("testdata", name+".txtar")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", path, diff)
	}
	o.checkLastLine(t)
}

// visible shows control characters of terminals.
func visible(s string) string {
	return strings.NewReplacer("\x1b", "␛", "\r", "␍").Replace(s)
}

// checkLastLine checks the rule that scripts rely on: a failure ends with one line
// that begins with a code.
func (o outcome) checkLastLine(t *testing.T) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(o.stderr, "\n"), "\n")
	isCode := strings.HasPrefix(lines[len(lines)-1], "RW-")
	if isCode != (o.exit != 0) {
		t.Errorf("exit %d, and the last line on stderr is %q", o.exit, lines[len(lines)-1])
	}
}

const webManifest = `apiVersion: runway/v1
kind: RunwayService
metadata:
  name: web
spec:
  image: registry.example.com/web:${TAG}
  scalability: {min_instances: 2}
  startup_probe: {path: /healthz}
`

// folder holds files, by name.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
