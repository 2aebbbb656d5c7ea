package caddy

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/runway-platform/runway/ingress/route"
)

func TestWebSocket_IsATunnelThatCountsAsInFlight(t *testing.T) {
	t.Parallel()
	echo := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") || r.Header.Get("Connection") != "Upgrade" {
			http.Error(w, "no upgrade", http.StatusBadRequest)
			return
		}
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
		_, _ = io.Copy(conn, buffered)
	})
	host := proxy.route(t, func(w *route.Workload) { w.RequestTimeout = 700 * time.Millisecond }, echo)
	conn := dialTLS(t, host)
	reader := bufio.NewReader(conn)
	write(t, conn, "GET /ws HTTP/1.1\r\nHost: "+host+"\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Key: x\r\n\r\n")
	res, err := http.ReadResponse(reader, nil)
	if err != nil || res.StatusCode != 101 || res.Header.Get("X-Runway-Revision") != "7" {
		t.Fatalf("upgrade = %v, %v", res, err)
	}
	for i := range 3 {
		<-time.After(300 * time.Millisecond) // beyond the request timeout in all: streams have none
		message := fmt.Sprintf("message %d", i)
		write(t, conn, message)
		got := make([]byte, len(message))
		if _, err := io.ReadFull(reader, got); err != nil || string(got) != message {
			t.Fatalf("echo = %q, %v; want %q", got, err, message)
		}
	}
	if got := find(proxy.stats.Snapshot(), host, 7).InFlight; got != 1 {
		t.Errorf("in flight while the stream is open = %d, want 1", got)
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "end of the stream", func() bool {
		c := find(proxy.stats.Snapshot(), host, 7)
		return c.InFlight == 0 && c.Responses[0] == 1
	})
}

func TestUpgrade_ToH2CIsNotPassedOn(t *testing.T) {
	t.Parallel()
	host := proxy.route(t, nil, upstream(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprint(w, r.Header.Get("Upgrade"), r.Header.Get("Http2-Settings"), r.Header.Get("Connection"))
	}))
	conn := dialTLS(t, host)
	write(t, conn, "GET / HTTP/1.1\r\nHost: "+host+"\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nConnection: Upgrade, HTTP2-Settings\r\n\r\n")
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(res.Body); err != nil || res.StatusCode != 200 || len(body) > 0 {
		t.Errorf("the replica saw upgrade headers %q (%d, %v)", body, res.StatusCode, err)
	}
}

func dialTLS(t *testing.T, host string) net.Conn {
	t.Helper()
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 10 * time.Second}, "tcp", proxy.https,
		&tls.Config{ServerName: host, RootCAs: proxy.ca.pool, NextProtos: []string{"http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(15 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func write(t *testing.T, w io.Writer, text string) {
	t.Helper()
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
}

func TestEvents_ArriveWhenTheyAreSent(t *testing.T) {
	t.Parallel()
	more := make(chan struct{})
	host := proxy.route(t, func(w *route.Workload) { w.RequestTimeout = 700 * time.Millisecond }, upstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			_, _ = fmt.Fprintf(w, "data: %d\n\n", i)
			_ = http.NewResponseController(w).Flush()
			<-more
		}
	}))
	res, err := proxy.client.Get("https://" + host + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	reader := bufio.NewReader(res.Body)
	for i := range 3 {
		line, err := reader.ReadString('\n')
		if want := fmt.Sprintf("data: %d\n", i); err != nil || line != want {
			t.Fatalf("event = %q, %v; want %q before the next one is sent", line, err, want)
		}
		if _, err := reader.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		<-time.After(300 * time.Millisecond) // the third one is beyond the request timeout
		more <- struct{}{}
	}
}

// The replica answers while it reads; every byte must come back over HTTP/1 too,
// where a server may drop what its handler has not read yet.
func TestBody_OfAnySizeStreamsBothWays(t *testing.T) {
	t.Parallel()
	const size = 32 << 20
	host := proxy.route(t, func(w *route.Workload) { w.BodyLimit = 0 }, upstream(t, func(w http.ResponseWriter, r *http.Request) {
		if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
			t.Error(err)
		}
		_, _ = io.Copy(w, r.Body)
	}))
	for _, protocol := range []int{1, 2} {
		client := proxy.newClient()
		client.Transport.(*http.Transport).ForceAttemptHTTP2 = protocol == 2 //nolint:forcetypeassert // a test
		for _, length := range []int64{size, -1} {
			req := newRequest(t, http.MethodPost, "https://"+host+"/", io.LimitReader(zeros{}, size))
			req.ContentLength = length
			res, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			n, err := io.Copy(io.Discard, res.Body)
			if err != nil || n != size || res.StatusCode != 200 || res.ProtoMajor != protocol {
				t.Errorf("HTTP/%d, length %d: %d bytes came back (%d over %s, %v), want %d", protocol, length, n, res.StatusCode, res.Proto, err, size)
			}
			_ = res.Body.Close()
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestAnswer_ThatBreaksOffIsAFailure(t *testing.T) {
	t.Parallel()
	host := proxy.route(t, nil, upstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "half")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}))
	res, err := proxy.client.Get("https://" + host + "/")
	if err == nil {
		_, err = io.ReadAll(res.Body)
		_ = res.Body.Close()
	}
	if err == nil {
		t.Error("the client took a part for the whole")
	}
	waitFor(t, "count", func() bool {
		c := find(proxy.stats.Snapshot(), host, 7)
		return c.Responses[4] == 1 && c.Responses[1] == 0 && c.InFlight == 0
	})
}

// newGRPC starts a gRPC server and returns its address.
func newGRPC(t *testing.T) (string, *health.Server) {
	t.Helper()
	server, service := grpc.NewServer(grpc.WaitForHandlers(true)), health.NewServer()
	grpc_health_v1.RegisterHealthServer(server, service)
	return serveGRPC(t, server), service
}

func serveGRPC(t *testing.T, server *grpc.Server) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		// A test may be over before Serve began.
		if err := <-done; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

func grpcClient(t *testing.T, address, authority string, c credentials.TransportCredentials) grpc_health_v1.HealthClient {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(c), grpc.WithAuthority(authority))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return grpc_health_v1.NewHealthClient(conn)
}

func TestGRPC_CallsAndStreamsPass(t *testing.T) {
	t.Parallel()
	address, service := newGRPC(t)
	host := proxy.route(t, func(w *route.Workload) {
		w.Protocol, w.RequestTimeout, w.BodyLimit = route.H2C, 50*time.Millisecond, 1
	}, address)
	internal := strings.Replace(host, ".example.com", ".default.internal", 1)
	for name, client := range map[string]grpc_health_v1.HealthClient{
		"over TLS":   grpcClient(t, proxy.https, host, credentials.NewTLS(&tls.Config{RootCAs: proxy.ca.pool})),
		"internally": grpcClient(t, proxy.internal, internal, insecure.NewCredentials()),
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if res, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{}); err != nil || res.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
				t.Fatalf("Check = %v, %v", res, err)
			}
			if _, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: "unknown"}); status.Code(err) != codes.NotFound {
				t.Errorf("the status of the service does not pass: %v", err)
			}
			stream, err := client.Watch(ctx, &grpc_health_v1.HealthCheckRequest{Service: name})
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range []grpc_health_v1.HealthCheckResponse_ServingStatus{
				grpc_health_v1.HealthCheckResponse_SERVICE_UNKNOWN, grpc_health_v1.HealthCheckResponse_SERVING, grpc_health_v1.HealthCheckResponse_NOT_SERVING,
			} {
				if want != grpc_health_v1.HealthCheckResponse_SERVICE_UNKNOWN {
					<-time.After(60 * time.Millisecond) // beyond the request timeout: streams have none
					service.SetServingStatus(name, want)
				}
				if res, err := stream.Recv(); err != nil || res.GetStatus() != want {
					t.Fatalf("stream = %v, %v; want %v", res, err, want)
				}
			}
		})
	}
}

func TestGRPC_ErrorsAreStatuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		up   []string
		code codes.Code
		says string
	}{
		{"no replica", nil, codes.Unavailable, "RW-4002"},
		{"refused", []string{closedPort(t)}, codes.Unavailable, "RW-4003"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			host := proxy.route(t, func(w *route.Workload) { w.Protocol = route.H2C }, tt.up...)
			client := grpcClient(t, proxy.https, host, credentials.NewTLS(&tls.Config{RootCAs: proxy.ca.pool}))
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			_, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{})
			if status.Code(err) != tt.code || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("Check = %v, want %v with %s", err, tt.code, tt.says)
			}
		})
	}
}

func TestH2C_CarriesPlainRequestsAndHasATimeout(t *testing.T) {
	t.Parallel()
	server := httpH2C(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			<-r.Context().Done()
			return
		}
		_, _ = io.WriteString(w, r.Proto)
	})
	host := proxy.route(t, func(w *route.Workload) {
		w.Protocol, w.RequestTimeout = route.H2C, 200*time.Millisecond
	}, server)
	if _, body := proxy.get(t, host, "/"); body != "HTTP/2.0" {
		t.Errorf("the replica was spoken to in %q, want HTTP/2.0", body)
	}
	if res, _ := proxy.get(t, host, "/slow"); res.StatusCode != 504 {
		t.Errorf("a slow answer = %d, want 504", res.StatusCode)
	}
}

// httpH2C serves HTTP/2 without TLS.
func httpH2C(t *testing.T, handle http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewUnstartedServer(handle)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}
