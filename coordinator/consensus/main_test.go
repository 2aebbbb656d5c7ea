package consensus

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// childEnv makes the test binary the writer of TestNode_killedLosesNothing.
const childEnv = "RUNWAY_TEST_WRITER_DIR"

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		os.Exit(writeUntilKilled(dir))
	}
	goleak.VerifyTestMain(m)
}

// onDisk is a single voter with its log in a directory.
func onDisk(dir string, log *slog.Logger) Config {
	_, transport := raft.NewInmemTransport("one")
	return Config{
		ID: "one", Address: "one", Store: state.New(), DataDir: dir, Bootstrap: true,
		Transport: transport, Logger: log, Registerer: prometheus.NewRegistry(),
	}
}

// testLogger writes to the test's output until the test ends. Raft does not wait for the
// goroutines that serve connections, and they tell of the end of their transport.
func testLogger(t testing.TB) *slog.Logger {
	to := &output{to: t.Output()}
	t.Cleanup(to.end)
	return slog.New(slog.NewTextHandler(to, nil))
}

type output struct {
	mu sync.Mutex
	to io.Writer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.to.Write(p)
}

func (o *output) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.to = io.Discard
}

// start starts a member that leads, and stops it with the test.
func start(t testing.TB, config Config) *Node {
	t.Helper()
	n, err := New(config)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	t.Cleanup(func() { stop(t, n) })
	if err := awaitLeader(n); err != nil {
		t.Fatal(err)
	}
	return n
}

func stop(t testing.TB, n *Node) {
	t.Helper()
	if err := n.Shutdown(context10(t)); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

func awaitLeader(n *Node) error {
	deadline := time.After(10 * time.Second)
	for {
		select {
		case leads := <-n.LeaderChanges():
			if leads {
				return nil
			}
		case <-deadline:
			return errors.New("no leader after 10s")
		}
	}
}

func initCluster(id string) *runwayv1.InitCluster {
	return &runwayv1.InitCluster{Cluster: &runwayv1.Cluster{Id: id, Incarnation: "first", Version: 1, Regions: []string{"local"}}}
}

func putSpace(name string) *runwayv1.PutSpace { return &runwayv1.PutSpace{Name: name, Create: true} }

func spaceName(i int) string { return fmt.Sprintf("space-%d", i) }

func codeOf(err error) code.Code {
	var fault *Fault
	if errors.As(err, &fault) {
		return fault.Code
	}
	return ""
}

func testLoggerToStderr() *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
}
