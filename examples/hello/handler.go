package main

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"time"
)

const (
	// callLimit bounds a call to another service.
	callLimit = 5 * time.Second
	// answerLimit bounds how much of its answer is passed on.
	answerLimit = 4 << 10
)

// newHandler routes requests and logs a line for each.
func newHandler(log *slog.Logger, greeting string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { greet(w, greeting) })
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, "ok") })
	mux.HandleFunc("GET /call", call)
	return logged(log, mux)
}

// greet says who answers, so that one can watch requests being spread.
func greet(w http.ResponseWriter, greeting string) {
	name, err := os.Hostname()
	if err != nil {
		name = "unknown"
	}
	answer(w, fmt.Sprintf("%s from %s", greeting, name))
}

// call asks another service by its internal name, such as
// /call?url=http://other.default.internal/, and passes its answer on.
func call(w http.ResponseWriter, r *http.Request) {
	request, err := http.NewRequestWithContext(r.Context(), http.MethodGet, r.FormValue("url"), nil)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	client := http.Client{Timeout: callLimit}
	response, err := client.Do(request)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, answerLimit))
	if closeErr := response.Body.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	answer(w, fmt.Sprintf("%s said %s: %s", request.URL.Host, response.Status, body))
}

// answer writes one line. A client that has gone is nobody's concern.
func answer(w http.ResponseWriter, line string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = fmt.Fprintln(w, line)
}

// logged writes a line per request when it is over.
func logged(log *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start, recorder := time.Now(), &statusRecorder{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(recorder, r)
		log.Info("request", "method", r.Method, "path", r.URL.Path, "status", recorder.status,
			"took", time.Since(start).String(), "request_id", r.Header.Get("X-Request-Id"))
	})
}

// statusRecorder remembers the status that was sent.
type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (r *statusRecorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}
