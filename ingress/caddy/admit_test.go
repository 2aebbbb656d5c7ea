package caddy

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/runway-platform/runway/ingress/route"
	"github.com/runway-platform/runway/ingress/verify"
)

// admitted decides about the replicas whose IDs begin with "misled".
func admitted(_ context.Context, conn net.Conn, target *route.Target) (net.Conn, error) {
	if strings.HasPrefix(string(target.Replica), "misled") {
		return nil, errors.Join(verify.ErrWrong, conn.Close())
	}
	return conn, nil
}

// misleading makes the first replica of a workload one that is not behind its port.
func misleading(w *route.Workload) {
	w.Endpoints[0].Replica = "misled-" + w.Endpoints[0].Replica
}

// foreign is a replica of somebody else, which must see no request.
func foreign(t *testing.T) (address string, requests *atomic.Int64) {
	t.Helper()
	requests = new(atomic.Int64)
	return upstream(t, func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		_, _ = io.WriteString(w, "foreign")
	}), requests
}

func TestProxy_AForeignReplicaGetsNothingAndAnotherEverything(t *testing.T) {
	t.Parallel()
	address, requests := foreign(t)
	echo := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // what is missing is missed below
		_, _ = w.Write(body)
	})
	host := proxy.route(t, misleading, address, echo)
	want := strings.Repeat("0123456789", 10_000)
	for range 20 { // the replica that is passed over meets one of them at least
		res, body := proxy.do(t, newRequest(t, http.MethodPost, "https://"+host+"/", strings.NewReader(want)))
		if res.StatusCode != http.StatusOK || body != want {
			t.Fatalf("answer = %d with %d bytes, want 200 with %d", res.StatusCode, len(body), len(want))
		}
	}
	if got := requests.Load(); got != 0 {
		t.Errorf("the foreign replica got %d requests", got)
	}
}

func TestProxy_WithoutAnotherReplicaTheAnswerSaysThatTheRouteMisleads(t *testing.T) {
	t.Parallel()
	address, requests := foreign(t)
	host := proxy.route(t, misleading, address)
	for range 3 {
		res, body := proxy.get(t, host, "/")
		if res.StatusCode != http.StatusBadGateway || !strings.Contains(body, "RW-4008") {
			t.Errorf("answer = %d %q, want 502 with RW-4008", res.StatusCode, body)
		}
	}
	if got := requests.Load(); got != 0 {
		t.Errorf("the foreign replica got %d requests", got)
	}
	refused := closedPort(t)
	host = proxy.route(t, nil, refused)
	if _, body := proxy.get(t, host, "/"); !strings.Contains(body, "RW-4003") {
		t.Errorf("a refused connection is answered with %q, want RW-4003", body)
	}
}

// What was made to one replica is never used for the next one at its address.
func TestProxy_KeepsConnectionsByReplica(t *testing.T) {
	t.Parallel()
	var connections atomic.Int64
	var hosts atomic.Value
	replica := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hosts.Store(r.Host)
		_, _ = io.WriteString(w, "ok")
	}))
	replica.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	replica.Start()
	t.Cleanup(replica.Close)
	address := replica.Listener.Addr().String()
	for i, id := range []route.ReplicaID{"one", "two", "one"} {
		var w route.Workload
		host := proxy.route(t, func(made *route.Workload) { made.Endpoints[0].Replica = id; w = *made }, address)
		for range 5 {
			if res, _ := proxy.get(t, host, "/"); res.StatusCode != http.StatusOK {
				t.Fatalf("answer = %d", res.StatusCode)
			}
			if got := hosts.Load(); got != host {
				t.Errorf("the replica saw host %q, want the client's %q", got, host)
			}
		}
		if got, want := connections.Load(), int64(min(i+1, 2)); got != want {
			t.Errorf("after replica %q: %d connections, want %d", id, got, want)
		}
		proxy.apply(t, route.Set{Removed: []route.Key{w.Key}, Withdrawn: []route.Key{w.Key}}) // it may be the only route
	}
}
