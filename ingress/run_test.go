package ingress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// The whole ingress but the real coordinator: routes come over the session, the
// first HTTPS request is answered, its count goes up, and SIGTERM's context lets
// a request in flight finish.
func TestIngress_ServesOverHTTPS(t *testing.T) {
	f := newFakeCoordinator(t)
	slow := make(chan struct{})
	replica := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			slow <- struct{}{}
			<-slow
		}
		_, _ = io.WriteString(w, "hello")
	}))
	t.Cleanup(replica.Close)
	cfg := config(t, t.TempDir(), f.dial(t))
	cfg.Listen, cfg.Metrics, cfg.DrainTimeout = nil, "127.0.0.1:0", 10*time.Second
	cfg.Profiles = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "profile of "+r.URL.Path) })
	companion := make(chan struct{})
	i, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- i.Run(ctx, func(ctx context.Context) error {
			<-ctx.Done()
			close(companion)
			return nil
		})
	}()
	metrics := "http://" + i.Addresses().Metrics[0].String()
	if status, _ := fetch(t, http.DefaultClient, metrics+"/readyz"); status != http.StatusServiceUnavailable {
		t.Errorf("/readyz before the first routes = %d, want 503", status)
	}
	send(t, <-f.streams, &runwayv1.RouteSet{Generation: 1, Full: true, Routes: []*runwayv1.Route{newRoute("web", replica.Listener.Addr().String())}})
	next(t, f, acks)

	client := clientOf(t, f, i.Addresses().HTTPS[0].String())
	if status, body := fetch(t, client, "https://web.default.example.com/"); status != 200 || body != "hello" {
		t.Errorf("first request after the confirmation = %d %q", status, body)
	}
	if got := next(t, f, counts).GetWorkloads(); len(got) != 1 || got[0].GetResponses()[1] != 1 {
		t.Errorf("statistics = %v, want one 2xx", got)
	}
	if status, _ := fetch(t, http.DefaultClient, metrics+"/readyz"); status != 200 {
		t.Errorf("/readyz = %d, want 200", status)
	}
	checkMetrics(t, metrics)
	if status, body := fetch(t, http.DefaultClient, metrics+"/debug/pprof/heap"); status != 200 || body != "profile of /debug/pprof/heap" {
		t.Errorf("/debug/pprof/heap = %d %q, want what Profiles answers", status, body)
	}

	answered := make(chan string, 1)
	go func() {
		_, body := fetch(t, client, "https://web.default.example.com/slow")
		answered <- body
	}()
	<-slow
	cancel()
	for !next(t, f, acks).GetStopping() {
	}
	if status, _ := fetch(t, http.DefaultClient, metrics+"/readyz"); status != http.StatusServiceUnavailable {
		t.Errorf("/readyz while it drains = %d, want 503", status)
	}
	slow <- struct{}{}
	if body := <-answered; body != "hello" {
		t.Errorf("the request in flight ended with %q", body)
	}
	client.CloseIdleConnections()
	http.DefaultClient.CloseIdleConnections()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
	<-companion
}

func clientOf(t *testing.T, f *fakeCoordinator, address string) *http.Client {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(f.rootPEM)
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		},
		TLSClientConfig: &tls.Config{RootCAs: pool},
	}
	return &http.Client{Transport: transport, Timeout: 15 * time.Second}
}

func fetch(t *testing.T, client *http.Client, address string) (int, string) {
	t.Helper()
	res, err := client.Get(address)
	if err != nil {
		t.Errorf("GET %s: %v", address, err)
		return 0, ""
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Errorf("GET %s: %v", address, err)
	}
	return res.StatusCode, string(body)
}

func checkMetrics(t *testing.T, address string) {
	t.Helper()
	_, text := fetch(t, http.DefaultClient, address+"/metrics")
	for _, want := range []string{
		`runway_ingress_requests_total{code_class="2xx",environment="production",revision="3",service="web",space="default"} 1`,
		`runway_ingress_request_duration_seconds_count{environment="production",revision="3",service="web",space="default"} 1`,
		`runway_ingress_route_generation 1`,
		`runway_ingress_session_up 1`,
		`runway_ingress_certificates_missing 0`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("promlint: %v %v", problems, err)
	}
}

func TestConfig_ValidateNamesEveryProblem(t *testing.T) {
	t.Parallel()
	err := Config{HTTPS: []string{"no-port"}}.Validate()
	if err == nil {
		t.Fatal("an empty configuration is valid")
	}
	for _, want := range []string{"name", "data folder", "coordinator", "facts", "drain timeout", "registry", "logger", `"no-port"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("Validate does not name %s: %v", want, err)
		}
	}
}
