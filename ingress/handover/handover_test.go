package handover

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

var quiet = slog.New(slog.DiscardHandler)

// open returns the sockets of a process that begins.
func open(t *testing.T, dir string) *Sockets {
	t.Helper()
	s, err := Open(dir, quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.dir.Close() })
	return s
}

func listen(t *testing.T, s *Sockets, address string) net.Listener {
	t.Helper()
	l, err := s.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// offer serves successors until the test ends.
func offer(t *testing.T, s *Sockets) <-chan *Claim {
	t.Helper()
	claims := make(chan *Claim)
	before, _ := os.Stat(s.path(socketName))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Offer(ctx, claims) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	soon(t, 5*time.Second, "the socket for successors", func() bool {
		now, err := os.Stat(s.path(socketName))
		return err == nil && !os.SameFile(before, now)
	})
	return claims
}

// soon asks until something is so.
func soon(t *testing.T, most time.Duration, what string, is func() bool) {
	t.Helper()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for deadline := time.Now().Add(most); !is(); <-again.C {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s", what, most)
		}
	}
}

// The folder's name is longer than the name of a Unix socket may be.
func longDir(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), strings.Repeat("long-", 30))
}

// A connection that was made before the predecessor closed its listener, and that it
// did not accept, is accepted by the successor.
func TestHandover_KeepsConnectionsThatWait(t *testing.T) {
	t.Parallel()
	dir := longDir(t)
	old := open(t, dir)
	if old.Claimed() {
		t.Fatal("there is no predecessor")
	}
	first := listen(t, old, "127.0.0.1:0")
	datagrams, err := old.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer datagrams.Close()
	claims := offer(t, old)

	next := open(t, dir)
	if !next.Claimed() {
		t.Fatal("the predecessor was not found")
	}
	second := listen(t, next, "127.0.0.1:0")
	if second.Addr().String() != first.Addr().String() {
		t.Errorf("the successor listens on %s, want %s", second.Addr(), first.Addr())
	}
	packets, err := next.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer packets.Close()
	if packets.LocalAddr().String() != datagrams.LocalAddr().String() {
		t.Errorf("the successor has %s, want %s", packets.LocalAddr(), datagrams.LocalAddr())
	}
	waits, err := net.Dial("tcp", first.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer waits.Close()
	takeOver(t, next, claims)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	accepted, err := second.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if accepted.RemoteAddr().String() != waits.LocalAddr().String() {
		t.Errorf("accepted %s, want the connection that waited", accepted.RemoteAddr())
	}
	_ = accepted.Close()
}

// takeOver lets the successor take over and speaks a word over the way between both.
func takeOver(t *testing.T, next *Sockets, claims <-chan *Claim) {
	t.Helper()
	spoken := make(chan error, 1)
	go func() {
		conn, err := (<-claims).Release()
		if err == nil {
			defer conn.Close()
			_, err = io.WriteString(conn, "hello")
		}
		spoken <- err
	}()
	conn, err := next.TakeOver()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := <-spoken; err != nil {
		t.Fatal(err)
	}
	if word, err := io.ReadAll(conn); err != nil || string(word) != "hello" {
		t.Errorf("heard %q, %v", word, err)
	}
}

// A successor may have a successor, and one that ends early is no harm.
func TestHandover_GoesOn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	old := open(t, dir)
	first := listen(t, old, "127.0.0.1:0")
	claims := offer(t, old)
	early := open(t, dir)
	_ = early.claimed.Close()
	early.Settle()
	for range 2 {
		next := open(t, dir)
		l := listen(t, next, first.Addr().String()) // by what it is bound to
		if next.Settle(); l.Addr().String() != first.Addr().String() {
			t.Fatalf("listens on %s, want %s", l.Addr(), first.Addr())
		}
		takeOver(t, next, claims)
		claims = offer(t, next)
	}
}

func TestTakeOver_FromAProcessThatEnded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	old := open(t, dir)
	l := listen(t, old, "127.0.0.1:0")
	claims := offer(t, old)
	next := open(t, dir)
	go func() { _ = (<-claims).conn.Close() }()
	if _, err := next.TakeOver(); !errors.Is(err, ErrGone) {
		t.Errorf("TakeOver = %v, want ErrGone", err)
	}
	_ = l.Close()
}

// A predecessor that hangs is ended by force: the connection to it ends with it.
func TestPredecessor_ThatHangsIsKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	child := exec.Command(os.Args[0], "-test.run=^TestPredecessor_Child$") //nolint:gosec // this program
	child.Env = append(os.Environ(), "HANDOVER_HANGS="+dir)
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = child.Process.Kill() }) // one that stands still outlives a test that fails
	var next *Sockets
	soon(t, 10*time.Second, "the predecessor", func() bool { next = open(t, dir); return next.Claimed() })
	conn, err := next.TakeOver()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(conn); err != nil {
		t.Errorf("the way to a killed process: %v, want its end", err)
	}
	if err := child.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("the predecessor ended with %v", err)
	}
	if err := conn.Kill(); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("killed again: %v", err)
	}
}

// TestPredecessor_Child is the other process of the test above: it says that it leaves
// everything to a successor, and then stops for ever.
func TestPredecessor_Child(t *testing.T) {
	dir := os.Getenv("HANDOVER_HANGS")
	if dir == "" {
		t.Skip("only in a child process")
	}
	if _, err := (<-offer(t, open(t, dir))).Release(); err != nil {
		t.Fatal(err)
	}
	for { // another thread may take the signal, and this one goes on for a moment
		if err := syscall.Kill(os.Getpid(), syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSameAddress(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		bound, wanted string
		want          bool
	}{
		{"127.0.0.1:80", "127.0.0.1:80", true}, {"[::]:443", ":443", true}, {"0.0.0.0:443", ":443", true}, {"[::]:443", ":https", true},
		{"[::ffff:10.0.0.1]:53", "10.0.0.1:53", true}, {"127.0.0.1:80", ":80", false}, {"127.0.0.1:80", "127.0.0.1:81", false},
		{"127.0.0.1:80", "127.0.0.1:0", false}, {"127.0.0.1:80", "localhost:80", false}, {"/run/socket", ":80", false}, {"127.0.0.1:80", "80", false},
	} {
		if got := sameAddress(test.bound, test.wanted); got != test.want {
			t.Errorf("sameAddress(%q, %q) = %v", test.bound, test.wanted, got)
		}
	}
}

// What systemd passes is served on, by address.
func TestSystemd_SocketsAreInherited(t *testing.T) {
	t.Parallel()
	if os.Getenv("HANDOVER_CHILD") != "" {
		return
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	file, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	// The shell's number is the child's, as it replaces itself.
	child := exec.Command("/bin/sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`, os.Args[0], "-test.run=^TestSystemd_Child$")
	child.Env = append(os.Environ(), "HANDOVER_CHILD="+l.Addr().String(), "LISTEN_FDS=1", "LISTEN_FDNAMES=https")
	child.ExtraFiles = []*os.File{file}
	if output, err := child.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	conn, err := l.Accept() // the socket lives on here, and the child's own call waits in it
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
}

// TestSystemd_Child is the other process of the test above.
func TestSystemd_Child(t *testing.T) {
	address := os.Getenv("HANDOVER_CHILD")
	if address == "" {
		t.Skip("only in a child process")
	}
	s := open(t, t.TempDir())
	l := listen(t, s, address) // it would be in use otherwise
	if os.Getenv("LISTEN_FDS") != "" {
		t.Error("a child of this process would believe the variables")
	}
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
}

func TestSystemd_RefusesWhatIsNoSocket(t *testing.T) {
	t.Setenv("LISTEN_PID", "1")
	t.Setenv("LISTEN_FDS", "2")
	if passed, err := fromSystemd(); err != nil || len(passed) != 0 {
		t.Errorf("sockets of another process: %v, %v", passed, err)
	}
	for _, count := range []string{"x", "-1", "100000"} {
		t.Setenv("LISTEN_PID", "")
		if err := os.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid())); err != nil {
			t.Fatal(err)
		}
		t.Setenv("LISTEN_FDS", count)
		if _, err := fromSystemd(); err == nil {
			t.Errorf("LISTEN_FDS=%s was taken", count)
		}
	}
}
