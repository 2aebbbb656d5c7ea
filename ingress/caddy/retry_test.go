package caddy

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// A replica that refuses is passed over for a second, then it is tried again.
func TestProxy_PassesOverAReplicaThatRefuses(t *testing.T) {
	t.Parallel()
	dead := closedPort(t)
	host := proxy.route(t, nil, upstream(t, say("alive")), dead)
	start := time.Now()
	for range 20 { // one of them meets the dead one, but for a chance of 1 to a million
		if res, body := proxy.get(t, host, "/"); res.StatusCode != 200 || body != "alive" {
			t.Fatalf("answer = %d %q", res.StatusCode, body)
		}
	}
	listener, err := net.Listen("tcp", dead)
	if err != nil {
		t.Skipf("somebody else took the port: %v", err)
	}
	server := &http.Server{Handler: say("back"), ReadHeaderTimeout: time.Second}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
	waitFor(t, "request at the replica that is back", func() bool {
		_, body := proxy.get(t, host, "/")
		return body == "back"
	})
	if took := time.Since(start); took < time.Second {
		t.Errorf("the replica that refused was tried again after %v, want 1 s", took)
	}
	again := 0
	for range 40 {
		if _, body := proxy.get(t, host, "/"); body == "back" {
			again++
		}
	}
	if again < 5 {
		t.Errorf("the replica that answers again got %d of 40 requests", again)
	}
}

// hasty is a replica that closes a connection without an answer when a request
// comes after a pause: as if it had closed it just before.
func hasty(t *testing.T, pause time.Duration) (address string, connections *atomic.Int64) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	connections = new(atomic.Int64)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			wg.Go(func() { answerHastily(conn, pause) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		wg.Wait()
	})
	return listener.Addr().String(), connections
}

func answerHastily(conn net.Conn, pause time.Duration) {
	defer conn.Close()
	reader := bufio.NewReader(conn)
	var last time.Time
	for {
		req, err := http.ReadRequest(reader)
		if err != nil || !last.IsZero() && time.Since(last) > pause {
			return
		}
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			return
		}
		if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"); err != nil {
			return
		}
		last = time.Now()
	}
}

func TestProxy_SendsNoPostIntoAClosingConnection(t *testing.T) {
	t.Parallel()
	address, connections := hasty(t, onceIdle)
	host := proxy.route(t, nil, address)
	post := func() int {
		res, _ := proxy.do(t, newRequest(t, http.MethodPost, "https://"+host+"/", strings.NewReader("payload")))
		return res.StatusCode
	}
	for range 3 {
		if status := post(); status != 200 {
			t.Fatalf("POST = %d", status)
		}
	}
	if got := connections.Load(); got > 2 {
		t.Errorf("3 POSTs in a row took %d connections", got)
	}
	<-time.After(onceIdle + 300*time.Millisecond)
	if status := post(); status != 200 {
		t.Errorf("POST after a pause = %d, want 200 over a new connection", status)
	}
	<-time.After(onceIdle + 300*time.Millisecond)
	if res, _ := proxy.get(t, host, "/"); res.StatusCode != 200 {
		t.Errorf("GET after a pause = %d, want 200", res.StatusCode)
	}
}

// brittle is a connection that breaks before anything of its second request is sent.
type brittle struct {
	net.Conn
	broken *atomic.Bool
}

func (b brittle) Write(p []byte) (int, error) {
	if b.broken.Load() {
		return 0, syscall.EPIPE
	}
	return b.Conn.Write(p)
}

// Nothing was sent, so even a large POST goes out again, whole.
func TestTransport_SendsAgainWhatWasNotSent(t *testing.T) {
	t.Parallel()
	address := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // what is missing is missed below
		_, _ = w.Write(body)
	})
	var dials atomic.Int64
	var broken, whole atomic.Bool
	transport := newTransport(func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if dials.Add(1) > 1 {
			return brittle{conn, &whole}, err
		}
		return brittle{conn, &broken}, err
	}, nil).once
	defer transport.CloseIdleConnections()
	want := strings.Repeat("0123456789", 20_000)
	for range 2 {
		req := newRequest(t, http.MethodPost, "http://"+address+"/", io.NopCloser(strings.NewReader(want)))
		req.ContentLength = int64(len(want))
		res, err := transport.RoundTrip(resendable(req, watchBody(req)))
		if err != nil {
			t.Fatalf("POST after %d connections: %v", dials.Load(), err)
		}
		got, err := io.ReadAll(res.Body)
		if err != nil || string(got) != want {
			t.Errorf("%d of %d bytes came back: %v", len(got), len(want), err)
		}
		_ = res.Body.Close()
		broken.Store(true)
	}
	if got := dials.Load(); got != 2 {
		t.Errorf("%d connections were made, want 2", got)
	}
}
