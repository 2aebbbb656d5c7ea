package caddy

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/runway-platform/runway/ingress/route"
	"github.com/runway-platform/runway/ingress/stats"
)

func TestProxy_Answers(t *testing.T) {
	t.Parallel()
	host := proxy.route(t, nil, upstream(t, say("hello")))
	res, body := proxy.get(t, host, "/")
	if res.StatusCode != 200 || body != "hello" || res.ProtoMajor != 2 {
		t.Errorf("answer = %d %q over HTTP/%d, want 200 hello over HTTP/2", res.StatusCode, body, res.ProtoMajor)
	}
	if got := res.Header.Get("X-Runway-Revision"); got != "7" {
		t.Errorf("X-Runway-Revision = %q, want 7", got)
	}
	if got := res.Header.Values("X-Request-Id"); len(got) != 1 || len(got[0]) != 32 {
		t.Errorf("X-Request-Id = %q, want one of 32 digits", got)
	}
}

func TestProxy_SaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	never := func(w http.ResponseWriter, r *http.Request) {
		drain(w, r) // a server sees that its client is gone only after the body
		<-r.Context().Done()
	}
	breaks := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	tests := []struct {
		name   string
		change func(*route.Workload)
		up     func(t *testing.T) []string
		body   io.Reader
		status int
		code   string
	}{
		{"no replica", nil, func(*testing.T) []string { return nil }, nil, 503, "RW-4002"},
		{"all refuse", nil, func(t *testing.T) []string { return []string{closedPort(t), closedPort(t)} }, nil, 502, "RW-4003"},
		{"too slow", func(w *route.Workload) { w.RequestTimeout = 50 * time.Millisecond },
			func(t *testing.T) []string { return []string{upstream(t, never)} }, nil, 504, "RW-4004"},
		{"too slow after a body", func(w *route.Workload) { w.RequestTimeout = 50 * time.Millisecond },
			func(t *testing.T) []string { return []string{upstream(t, never)} }, strings.NewReader("x"), 504, "RW-4004"},
		{"body announced too large", func(w *route.Workload) { w.BodyLimit = 10 },
			func(t *testing.T) []string { return []string{upstream(t, drain)} }, strings.NewReader("12345678901"), 413, "RW-4005"},
		{"body turns out too large", func(w *route.Workload) { w.BodyLimit = 10 },
			func(t *testing.T) []string { return []string{upstream(t, drain)} }, io.MultiReader(strings.NewReader("12345678901")), 413, "RW-4005"},
		{"breaks off", nil, func(t *testing.T) []string { return []string{upstream(t, breaks)} }, strings.NewReader("x"), 502, "RW-4007"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			host := proxy.route(t, tt.change, tt.up(t)...)
			req := newRequest(t, http.MethodPost, "https://"+host+"/", tt.body)
			req.Header.Set("Accept", "application/json")
			res, body := proxy.do(t, req)
			var page struct {
				Code      string `json:"code"`
				RequestID string `json:"request_id"`
			}
			if err := json.Unmarshal([]byte(body), &page); err != nil {
				t.Fatalf("answer %d %q: %v", res.StatusCode, body, err)
			}
			if res.StatusCode != tt.status || page.Code != tt.code || page.RequestID != res.Header.Get("X-Request-Id") {
				t.Errorf("answer = %d %s, want %d with code %s and the request's ID", res.StatusCode, body, tt.status, tt.code)
			}
		})
	}
}

func drain(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }

func TestProxy_RetriesOnlyWhatWasNotSent(t *testing.T) {
	t.Parallel()
	var served atomic.Int64
	good := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		served.Add(1)
		_, _ = io.Copy(w, r.Body)
	})
	host := proxy.route(t, nil, closedPort(t), good, closedPort(t))
	for range 20 {
		res, body := proxy.do(t, newRequest(t, http.MethodPost, "https://"+host+"/", strings.NewReader("payload")))
		if res.StatusCode != 200 || body != "payload" {
			t.Fatalf("POST = %d %q, want the payload from the one replica that accepts", res.StatusCode, body)
		}
	}
	if got := served.Load(); got != 20 {
		t.Errorf("the replica saw %d requests, want 20", got)
	}
	counts := find(proxy.stats.Snapshot(), host, 7)
	if counts.Responses[1] != 20 || counts.Total() != 20 || counts.InFlight != 0 {
		t.Errorf("counted %+v, want 20 answers and no failed attempts", counts)
	}
}

func TestProxy_NeverSendsTwice(t *testing.T) {
	t.Parallel()
	var seen atomic.Int64
	breaks := func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body)
		seen.Add(1)
		panic(http.ErrAbortHandler)
	}
	host := proxy.route(t, nil, upstream(t, breaks), upstream(t, breaks))
	res, _ := proxy.do(t, newRequest(t, http.MethodPost, "https://"+host+"/", strings.NewReader("pay")))
	if res.StatusCode != 502 || seen.Load() != 1 {
		t.Errorf("POST = %d after %d requests at replicas, want 502 after 1", res.StatusCode, seen.Load())
	}
}

func find(all []stats.Counts, host string, revision uint64) stats.Counts {
	service, _, _ := strings.Cut(host, ".")
	for _, c := range all {
		if c.Service == service && c.Revision == revision {
			return c
		}
	}
	return stats.Counts{}
}

func TestProxy_KnowsNamesOfItsScopeOnly(t *testing.T) {
	t.Parallel()
	host := proxy.route(t, nil, upstream(t, say("hello")))
	service, _, _ := strings.Cut(host, ".")
	tests := []struct {
		name, host string
		status     int
	}{
		{"internal name", service + ".default.internal", 200},
		{"internal name, upper case, dot and port", strings.ToUpper(service) + ".default.internal.:80", 200},
		{"public name", host, 404},
		{"address", "127.0.0.1", 404},
		{"nonsense", "a b", 404},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := rawStatus(t, proxy.internal, "GET / HTTP/1.1\r\nHost: "+tt.host+"\r\nConnection: close\r\n\r\n"); got != tt.status && (tt.status != 404 || got != 400) {
				t.Errorf("internal listener for %q = %d, want %d", tt.host, got, tt.status)
			}
		})
	}
	if err := handshake(service + ".default.internal"); err == nil {
		t.Error("the public listener has a certificate for an internal name")
	}
}

func rawStatus(t *testing.T, address, request string) int {
	t.Helper()
	res := rawExchange(t, address, request)
	return res.StatusCode
}

func rawExchange(t *testing.T, address, request string) *http.Response {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("answer to %q: %v", request, err)
	}
	return res
}

func handshake(name string) error {
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 10 * time.Second}, "tcp", proxy.https,
		&tls.Config{ServerName: name, RootCAs: proxy.ca.pool})
	if err != nil {
		return err
	}
	return conn.Close()
}

func TestTLS_RefusesUnknownNamesWithoutAskingForThem(t *testing.T) {
	t.Parallel()
	before := proxy.ca.asked.Load()
	names := []string{"", "127.0.0.1", "a.example.org"}
	for i := range 50 {
		names = append(names, fmt.Sprintf("random%d.example.com", i))
	}
	for _, name := range names {
		if err := handshake(name); err == nil {
			t.Errorf("a handshake for %q succeeded", name)
		}
	}
	for i := range 10_000 {
		m := &manager{cfg: &Config{Routes: proxy.routes, Certificates: proxy.ca}}
		if _, err := m.GetCertificate(t.Context(), &tls.ClientHelloInfo{ServerName: fmt.Sprintf("x%d.example.com", i)}); err == nil {
			t.Fatal("a random name got a certificate")
		}
	}
	for name := range proxy.ca.certs.Range {
		if strings.HasPrefix(name.(string), "random") || strings.HasPrefix(name.(string), "x") {
			t.Errorf("a certificate was asked for %v", name)
		}
	}
	if before > proxy.ca.asked.Load() {
		t.Error("count went backwards")
	}
}

func TestTLS_RefusesARoutedNameWithoutCertificate(t *testing.T) {
	t.Parallel()
	proxy.route(t, func(w *route.Workload) { w.Hosts = []string{"nocert.example.com"} })
	if err := handshake("nocert.example.com"); err == nil {
		t.Error("a handshake without a certificate succeeded")
	}
}

func TestProxy_RefusesAnotherHostThanTheServerName(t *testing.T) {
	t.Parallel()
	host := proxy.route(t, nil, upstream(t, say("mine")))
	for _, other := range []string{"other.example.com", "", "127.0.0.1", host + ".evil.com"} {
		req := newRequest(t, http.MethodGet, "https://"+host+"/", nil)
		req.Host = other
		if other == "" {
			continue
		}
		if res, body := proxy.do(t, req); res.StatusCode != 421 || !strings.Contains(body, "RW-4006") {
			t.Errorf("Host %q over a connection for %q = %d %q, want 421", other, host, res.StatusCode, body)
		}
	}
	for _, same := range []string{strings.ToUpper(host), host + ".", host + ":8443"} {
		req := newRequest(t, http.MethodGet, "https://"+host+"/", nil)
		req.Host = same
		if res, body := proxy.do(t, req); res.StatusCode != 200 {
			t.Errorf("Host %q = %d %q, want 200", same, res.StatusCode, body)
		}
	}
}

func TestRedirect_SendsPublicNamesToHTTPS(t *testing.T) {
	t.Parallel()
	host := proxy.route(t, nil)
	res := rawExchange(t, proxy.http, "GET /a%2Fb?c=d HTTP/1.1\r\nHost: "+host+"\r\n\r\n")
	want := "https://" + host + ":8443/a%2Fb?c=d"
	if res.StatusCode != 308 || res.Header.Get("Location") != want {
		t.Errorf("answer = %d %q, want 308 %q", res.StatusCode, res.Header.Get("Location"), want)
	}
	service, _, _ := strings.Cut(host, ".")
	for _, other := range []string{"unknown.example.com", service + ".default.internal", "127.0.0.1"} {
		if got := rawStatus(t, proxy.http, "GET / HTTP/1.1\r\nHost: "+other+"\r\n\r\n"); got != 404 {
			t.Errorf("redirect for %q = %d, want 404", other, got)
		}
	}
}

func TestProxy_SwapsTablesUnderLoad(t *testing.T) {
	t.Parallel()
	ups := []string{upstream(t, say("a")), upstream(t, say("b")), upstream(t, say("c"))}
	host := proxy.route(t, nil, ups[0])
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var requests, failed atomic.Int64
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				res, err := proxy.client.Get("https://" + host + "/")
				requests.Add(1)
				if err != nil || res.StatusCode != 200 {
					failed.Add(1)
					t.Errorf("request under change: %v", err)
					return
				}
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
			}
		})
	}
	for i := range 300 {
		w := route.Workload{
			Key:   route.Key{Space: "default", Service: strings.TrimSuffix(host, ".example.com"), Environment: "production"},
			Hosts: []string{host},
		}
		w.Endpoints = []route.Endpoint{{Replica: route.ReplicaID(fmt.Sprintf("swap-%d", i)), Address: mustAddr(ups[i%3]), Revision: uint64(i + 1)}}
		proxy.apply(t, route.Set{Workloads: []route.Workload{w}})
		if i%10 == 0 {
			waitFor(t, "more requests", func() bool { return requests.Load() >= int64(i*2) || failed.Load() > 0 })
		}
	}
	cancel()
	wg.Wait()
	t.Logf("%d requests over 300 tables, %d failed", requests.Load(), failed.Load())
	if failed.Load() > 0 || requests.Load() < 100 {
		t.Errorf("%d of %d requests failed", failed.Load(), requests.Load())
	}
}

func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(15 * time.Second)
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("no %s in time", what)
		}
	}
}

func TestRun_IsOnePerProcess(t *testing.T) {
	t.Parallel()
	if err := Run(t.Context(), Config{}); err != ErrRunning { //nolint:errorlint // the sentinel itself
		t.Errorf("second Run = %v, want %v", err, ErrRunning)
	}
}

func TestRun_LeavesTheHomeFolderAlone(t *testing.T) {
	t.Parallel()
	if entries, err := os.ReadDir(proxy.home); !os.IsNotExist(err) {
		t.Errorf("home folder has %v, %v; want no such folder", entries, err)
	}
}
