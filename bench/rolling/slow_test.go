package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// Slow requests cannot be repeated by anybody and are told apart; one that is lost is
// counted and not sent again.
func TestSlow_EachRequestIsSentOnce(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	var mu sync.Mutex
	seen := map[string]int{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		hold, err := time.ParseDuration(r.URL.Query().Get("hold"))
		if r.Method != http.MethodPost || err != nil || hold < slowLeast || hold > slowMost {
			t.Errorf("%s %s: %v", r.Method, r.URL, err)
		}
		seen[r.URL.Query().Get("once")]++
		switch len(seen) {
		case 1:
			w.WriteHeader(http.StatusBadGateway)
			return
		case 3:
			cancel()
		}
		w.Header().Set("X-Runway-Revision", "7")
		_, _ = w.Write([]byte("svc/7\n" + r.URL.Query().Get("once")))
	}))
	defer server.Close()
	k := kind{name: "slow", keep: true, slow: true}
	g := newUnpacedGroup(options{slow: 1}, "i1", k, target{address: strings.TrimPrefix(server.URL, "http://"), host: "svc", name: "svc", keep: true, timeout: 5 * time.Second})
	g.run(ctx, 0)
	got := report([]*group{g}, time.Second, true)
	if len(seen) != 3 || seen[""] != 0 || got.Requests != 3 || got.Failed != 1 || !got.Rows[0].Unpaced {
		t.Errorf("3 requests, one of them lost: %+v, seen %v", got, seen)
	}
	for id, times := range seen {
		if times != 1 {
			t.Errorf("%s was sent %d times", id, times)
		}
	}
}
