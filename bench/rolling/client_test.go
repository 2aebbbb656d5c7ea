package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// serveOn answers each connection with one function and returns where.
func serveOn(t *testing.T, handle func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			handle(conn)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = listener.Close(); <-ended })
	return listener.Addr().String()
}

// says reads the head of a request and writes an answer.
func says(answer string) func(net.Conn) {
	return func(conn net.Conn) {
		buffer := make([]byte, 4096)
		for text := ""; !strings.Contains(text, "\r\n\r\n"); {
			n, err := conn.Read(buffer)
			if err != nil {
				return
			}
			text += string(buffer[:n])
		}
		_, _ = io.WriteString(conn, answer)
	}
}

func ok(body string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nX-Runway-Revision: 7\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// The clients must see every way in which a request can be lost.
func TestClient_SeesEveryFailure(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, want string
		handle     func(net.Conn)
	}{
		{"right answer", "", says(ok("svc/7\n"))},
		{"closed before the answer", "reset", says("")},
		{"cut in the body", "reset", says(strings.TrimSuffix(ok("svc/7\n"), "7\n"))},
		{"reset", "reset", func(conn net.Conn) { says("")(conn); _ = conn.(*net.TCPConn).SetLinger(0) }},
		{"502", "status", says("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")},
		{"404", "status", says("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")},
		{"answer of another service", "body", says(ok("other/7\n"))},
		{"answer of another revision", "body", says(ok("svc/6\n"))},
		{"more than the answer", "body", says(ok("svc/7\nx"))},
		{"no answer", "timeout", func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }},
		{"not HTTP", "read", says("what?\r\n\r\n")},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := client{target: target{address: serveOn(t, test.handle), host: "svc", name: "svc", timeout: patience(test.want)}, dialed: func() {}}
			defer c.close()
			_, f := c.ask(http.MethodGet, "", nil)
			if got := kindOf(f); got != test.want {
				t.Errorf("failure %q, want %q: %+v", got, test.want, f)
			}
		})
	}
}

// patience is how long a client waits: only a test of silence is about that.
func patience(want string) time.Duration {
	if want == "timeout" {
		return 200 * time.Millisecond
	}
	return 10 * time.Second
}

func kindOf(f *failure) string {
	if f == nil {
		return ""
	}
	return f.Kind
}

func TestClient_SeesARefusedConnection(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	c := client{target: target{address: address, host: "svc", timeout: time.Second}, dialed: func() {}}
	if _, f := c.ask(http.MethodGet, "", nil); kindOf(f) != "connect" {
		t.Errorf("failure %+v, want connect", f)
	}
}

func TestClient_SeesAForeignCertificate(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	server.Config.ErrorLog = nil
	c := client{
		target: target{address: server.Listener.Addr().String(), host: "svc", timeout: time.Second, tls: &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "svc"}},
		dialed: func() {},
	}
	if _, f := c.ask(http.MethodGet, "", nil); kindOf(f) != "tls" {
		t.Errorf("failure %+v, want tls", f)
	}
}

// A kept connection that the other side closes without a word is a lost request:
// no second one is opened for it. One that was announced is not.
func TestClient_NeverRetries(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, answer, want string
		connections        int
	}{
		{"closed without a word", ok("svc/7\n"), "reset", 1},
		{"closed as announced", strings.Replace(ok("svc/7\n"), "\r\n", "\r\nConnection: close\r\n", 1), "", 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dialed := 0
			c := client{
				target: target{address: serveOn(t, says(test.answer)), host: "svc", name: "svc", keep: true, timeout: time.Second},
				dialed: func() { dialed++ },
			}
			defer c.close()
			if _, f := c.ask(http.MethodGet, "", nil); f != nil {
				t.Fatalf("first request: %+v", f)
			}
			_, f := c.ask(http.MethodGet, "", nil)
			if got := kindOf(f); got != test.want && got != "write" || dialed != test.connections {
				t.Errorf("failure %q over %d connections, want %q over %d", got, dialed, test.want, test.connections)
			}
		})
	}
}
