package caddy

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runway-platform/runway/proto/code"
)

// A process that was asked to stop answers what it has begun before it ends. The
// proxy is a process of its own here: within the test's, an answer would go on
// after Run returned.
func TestRun_AProcessAnswersBeforeItEnds(t *testing.T) {
	t.Parallel()
	asked, answer := make(chan struct{}), make(chan struct{})
	address, stop := startProcess(t, "runway", upstream(t, func(w http.ResponseWriter, r *http.Request) {
		close(asked)
		select {
		case <-answer:
		case <-r.Context().Done():
		}
		_, _ = io.WriteString(w, "late")
	}))
	conn, reader := dialPlain(t, address)
	write(t, conn, "GET / HTTP/1.1\r\nHost: "+benchHost+"\r\n\r\n")
	<-asked
	ended := make(chan error, 1)
	go func() { ended <- stop() }()
	select {
	case err := <-ended:
		t.Fatalf("the process ended with a request in flight: %v", err)
	case <-time.After(400 * time.Millisecond):
	}
	close(answer)
	res, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatalf("the answer was cut: %v", err)
	}
	if body, err := io.ReadAll(res.Body); err != nil || string(body) != "late" {
		t.Errorf("answer %q, %v", body, err)
	}
	if !res.Close {
		t.Error("the answer does not say that the connection ends")
	}
	if err := <-ended; err != nil {
		t.Errorf("the process ended with %v", err)
	}
}

// A kept connection is not closed under a client that may be sending: its next
// request is answered, and told to go elsewhere.
func TestRun_AKeptConnectionEndsWithAnAnswer(t *testing.T) {
	t.Parallel()
	address, stop := startProcess(t, "runway", upstream(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "hello")
	}))
	conn, reader := dialPlain(t, address)
	ask := func() *http.Response {
		write(t, conn, "GET / HTTP/1.1\r\nHost: "+benchHost+"\r\n\r\n")
		res, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatalf("no answer: %v", err)
		}
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			t.Fatal(err)
		}
		return res
	}
	if res := ask(); res.Close {
		t.Error("an answer before the stop ends the connection")
	}
	ended := make(chan error, 1)
	go func() { ended <- stop() }()
	<-time.After(500 * time.Millisecond) // the stop has begun, the connection is idle
	if res := ask(); !res.Close {
		t.Error("an answer during the drain does not say that the connection ends")
	}
	if err := <-ended; err != nil {
		t.Errorf("the process ended with %v", err)
	}
}

// A request that takes longer than the drain timeout does not keep the process.
func TestRun_TheDrainHasADeadline(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{})
	address, stop := startProcess(t, "runway", upstream(t, func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
	}))
	conn, _ := dialPlain(t, address)
	write(t, conn, "GET / HTTP/1.1\r\nHost: "+benchHost+"\r\n\r\n")
	<-asked
	began := time.Now()
	if err := stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took < testDrain-time.Second || took > testDrain+2*time.Second {
		t.Errorf("the process ended after %v, want about the drain timeout of %v", took, testDrain)
	}
}

// A stream of a process that was asked to stop has the drain time, and ends whole.
func TestRun_AStreamHasTheDrainTime(t *testing.T) {
	t.Parallel()
	address, stop := startProcess(t, "runway", upstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for r.Context().Err() == nil {
			_, _ = io.WriteString(w, "data: x\n\n")
			_ = http.NewResponseController(w).Flush()
			<-time.After(20 * time.Millisecond)
		}
	}))
	conn, reader := dialPlain(t, address)
	write(t, conn, "GET / HTTP/1.1\r\nHost: "+benchHost+"\r\n\r\n")
	res, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	began := time.Now()
	go func() { ended <- stop() }()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		t.Errorf("the stream broke: %v", err)
	}
	if took := time.Since(began); took < testDrain-closing-100*time.Millisecond || took > testDrain {
		t.Errorf("the stream ended after %v, want %v before the drain timeout of %v", took, closing, testDrain)
	}
	if err := <-ended; err != nil {
		t.Errorf("the process ended with %v", err)
	}
}

// knocking is a listener to which somebody comes again and again, until it is closed.
type knocking struct {
	net.Listener
	closed chan struct{}
}

func (k knocking) Accept() (net.Conn, error) {
	select {
	case <-time.After(100 * time.Millisecond):
		near, _ := net.Pipe()
		return near, nil
	case <-k.closed:
		return nil, net.ErrClosed
	}
}

func (k knocking) Close() error { close(k.closed); return nil }

// While connections keep coming, the last one comes when the time for them is over: its
// request is answered before anything is stopped.
func TestDoor_DismissesTheLastOneToo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDoor()
		listener := d.guard(knocking{closed: make(chan struct{})})
		go func() {
			for conn, err := listener.Accept(); err == nil; conn, err = listener.Accept() {
				time.AfterFunc(150*time.Millisecond, func() { _ = conn.Close() }) // its answer
			}
		}()
		began := time.Now()
		d.dismiss(t.Context(), farewell, quiet, nil)
		if open, _ := d.count(); open != 0 {
			t.Errorf("%d connections are open, want every one answered", open)
		}
		if took := time.Since(began); took < farewell || took > farewell+quiet {
			t.Errorf("it took %s, want %s and a moment", took, farewell)
		}
	})
}

func dialPlain(t *testing.T, address string) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn, bufio.NewReader(conn)
}

// brokenListener is one that the system has taken away.
type brokenListener struct{ net.Listener }

var errBroken = errors.New("the socket is gone")

func (brokenListener) Accept() (net.Conn, error) { return nil, errBroken }

func TestDoor_TellsOfAListenerThatBreaks(t *testing.T) {
	t.Parallel()
	for _, shut := range []bool{false, true} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		d := newDoor()
		guarded := d.guard(brokenListener{l})
		if shut {
			d.shut()
		}
		if _, err := guarded.Accept(); !errors.Is(err, errBroken) {
			t.Errorf("Accept = %v", err)
		}
		d.shut()
		select {
		case err := <-d.broken:
			if shut || !errors.Is(err, errBroken) || !strings.Contains(err.Error(), string(code.ListenerFailed)) {
				t.Errorf("shut before: %v, the door tells %v", shut, err)
			}
		default:
			if !shut {
				t.Error("the door does not tell")
			}
		}
	}
}

// The process ends when it can take no more connections on an address.
func TestRun_EndsWithItsListener(t *testing.T) {
	t.Parallel()
	_, stop := startProcess(t, "broken", "")
	if err := stop(); err == nil {
		t.Error("the process ended well without a listener")
	}
}
