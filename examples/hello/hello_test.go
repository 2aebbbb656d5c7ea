package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func get(t *testing.T, handler http.Handler, path string) (int, string) {
	t.Helper()
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, path, nil))
	return recorder.Code, recorder.Body.String()
}

func TestHandler_Answers(t *testing.T) {
	t.Parallel()
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hi") }))
	defer other.Close()
	var log bytes.Buffer
	handler := newHandler(slog.New(slog.NewJSONHandler(&log, nil)), "Good day")
	for _, test := range []struct {
		path   string
		status int
		want   string
	}{
		{"/", 200, "Good day from "},
		{"/healthz", 200, "ok\n"},
		{"/nope", 404, "not found"},
		{"/call?url=" + other.URL, 200, "said 200 OK: hi"},
		{"/call?url=http://127.0.0.1:1/", 502, "refused"},
		{"/call?url=::", 400, "missing protocol scheme"},
	} {
		if status, body := get(t, handler, test.path); status != test.status || !strings.Contains(body, test.want) {
			t.Errorf("%s: %d %q, want %d %q", test.path, status, body, test.status, test.want)
		}
	}
	if lines := strings.Count(log.String(), `"msg":"request"`); lines != 6 {
		t.Errorf("%d lines logged, want 6:\n%s", lines, log.String())
	}
}

// A request that has begun when the service is asked to stop is finished.
func TestServe_FinishesRequests(t *testing.T) {
	t.Parallel()
	begun, finish := make(chan struct{}), make(chan struct{})
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(begun)
		<-finish
		answer(w, "done")
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served, answered := make(chan error, 1), make(chan string, 1)
	go func() { served <- serve(ctx, slog.New(slog.DiscardHandler), listener, handler) }()
	go func() { answered <- fetch("http://" + listener.Addr().String()) }()
	<-begun
	stop()
	close(finish)
	if body := <-answered; body != "done\n" {
		t.Errorf("answer %q, want done", body)
	}
	if err := <-served; err != nil {
		t.Errorf("serve: %v", err)
	}
}

func fetch(url string) string {
	response, err := http.Get(url)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close() //nolint:errcheck // Only read from.
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err.Error()
	}
	return string(body)
}
