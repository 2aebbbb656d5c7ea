package probe

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
)

var dialer = (&net.Dialer{}).DialContext

func httpSpec() Spec {
	return Spec{Kind: HTTP, Path: "/healthz", Timeout: time.Second, Period: time.Second, FailureThreshold: 3}
}

func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func TestOnce_HTTPStatusDecides(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name     string
		status   int
		declared bool
		passed   bool
	}{
		{"declared 200", 200, true, true},
		{"declared 399", 399, true, true},
		{"declared 404", 404, true, false},
		{"default 404", 404, false, true},
		{"default 499", 499, false, true},
		{"default 500", 500, false, false},
		{"declared 500", 500, true, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			address := serve(t, func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(row.status)
				_, _ = w.Write([]byte("body of " + r.URL.Path))
			})
			spec := httpSpec()
			spec.Declared = row.declared
			got := New(dialer).Once(t.Context(), spec, address)
			if got.Passed != row.passed || got.Answer != "body of /healthz" || got.Err != "" {
				t.Errorf("status %d, declared %t: got %+v, want passed %t", row.status, row.declared, got, row.passed)
			}
		})
	}
}

func TestOnce_FollowsNoRedirect(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
	})
	spec := httpSpec()
	spec.Declared = true
	got := New(dialer).Once(t.Context(), spec, address)
	if !got.Passed || asked.Load() != 1 || got.Status != "302 Found" {
		t.Errorf("got %+v after %d requests, want one that passes with 302", got, asked.Load())
	}
}

func TestOnce_BoundsTheAnswer(t *testing.T) {
	t.Parallel()
	address := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(503)
		_, _ = w.Write([]byte("bad \x1b[2J\xff" + strings.Repeat("x", 1<<20)))
	})
	got := New(dialer).Once(t.Context(), httpSpec(), address)
	if len(got.Answer) > AnswerBytes || strings.ContainsRune(got.Answer, 0x1b) || !strings.HasPrefix(got.Answer, "bad .[2J.") {
		t.Errorf("got %d bytes %.20q, want at most %d printable ones", len(got.Answer), got.Answer, AnswerBytes)
	}
	if line := got.Lines()[0]; !strings.Contains(line, "GET http://"+address+"/healthz: 503 Service Unavailable") {
		t.Errorf("transcript %q names neither question nor status", line)
	}
}

func TestOnce_EndsWithWhatNeverEnds(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(http.ResponseWriter){
		"ten gigabytes": func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "10000000000")
			_, _ = w.Write([]byte(strings.Repeat("x", 2*AnswerBytes)))
		},
		"a trickle": func(w http.ResponseWriter) { _, _ = w.Write([]byte("x")) },
	} {
		over := make(chan struct{})
		address := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(503)
			answer(w)
			_ = http.NewResponseController(w).Flush()
			<-over
		})
		t.Cleanup(func() { close(over) })
		spec := httpSpec()
		spec.Timeout = 200 * time.Millisecond
		got := New(dialer).Once(t.Context(), spec, address)
		if got.Passed || len(got.Answer) > AnswerBytes || !strings.HasPrefix(got.Status, "503") {
			t.Errorf("%s: got %+v, want a failure with its status", name, got)
		}
	}
}

func TestOnce_TellsTimeoutFromRefusal(t *testing.T) {
	t.Parallel()
	held := make(chan struct{})
	address := serve(t, func(http.ResponseWriter, *http.Request) { <-held })
	t.Cleanup(func() { close(held) })
	spec := httpSpec()
	spec.Timeout = 20 * time.Millisecond
	late := New(dialer).Once(t.Context(), spec, address)
	if late.Passed || !late.TimedOut || late.Err != "no answer within 20ms" {
		t.Errorf("held answer: got %+v, want a timeout", late)
	}
	refused := New(dialer).Once(t.Context(), httpSpec(), closedAddress(t))
	if refused.Passed || refused.TimedOut || !strings.Contains(refused.Err, "connection refused") {
		t.Errorf("closed port: got %+v, want connection refused", refused)
	}
}

func TestOnce_HTTPOverH2C(t *testing.T) {
	t.Parallel()
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(r.Proto))
	}))
	server.Config.Protocols = protocols
	server.Start()
	t.Cleanup(server.Close)
	spec := httpSpec()
	spec.H2C = true
	if got := New(dialer).Once(t.Context(), spec, server.Listener.Addr().String()); !got.Passed || got.Answer != "HTTP/2.0" {
		t.Errorf("got %+v, want a pass over HTTP/2.0", got)
	}
}

func TestOnce_TCP(t *testing.T) {
	t.Parallel()
	address := serve(t, func(http.ResponseWriter, *http.Request) {})
	spec := Spec{Kind: TCP, Timeout: time.Second}
	if got := New(dialer).Once(t.Context(), spec, address); !got.Passed || got.Status != "connected" {
		t.Errorf("open port: got %+v, want connected", got)
	}
	if got := New(dialer).Once(t.Context(), spec, closedAddress(t)); got.Passed || got.Err == "" {
		t.Errorf("closed port: got %+v, want a failure", got)
	}
}

func TestOnce_GRPC(t *testing.T) {
	t.Parallel()
	listener := listen(t)
	server := grpc.NewServer(grpc.WaitForHandlers(true))
	states := health.NewServer()
	states.SetServingStatus("ok", healthv1.HealthCheckResponse_SERVING)
	states.SetServingStatus("sick", healthv1.HealthCheckResponse_NOT_SERVING)
	healthv1.RegisterHealthServer(server, states)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	t.Cleanup(func() { server.Stop(); <-ended })
	for service, want := range map[string]string{"ok": "SERVING", "sick": "NOT_SERVING", "absent": ""} {
		spec := Spec{Kind: GRPC, Service: service, Timeout: time.Second}
		got := New(dialer).Once(t.Context(), spec, listener.Addr().String())
		if got.Status != want || got.Passed != (service == "ok") || (want == "") != (got.Err != "") {
			t.Errorf("service %q: got %+v, want status %q", service, got, want)
		}
	}
}

func TestOnce_UnknownKindFails(t *testing.T) {
	t.Parallel()
	if got := New(dialer).Once(t.Context(), Spec{Kind: "smoke", Timeout: time.Second}, "x"); got.Passed || got.Err == "" {
		t.Errorf("got %+v, want a failure", got)
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

func closedAddress(t *testing.T) string {
	t.Helper()
	listener := listen(t)
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	return listener.Addr().String()
}
