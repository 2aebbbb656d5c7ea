package ingress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// scrapeTimeout bounds one request at the metrics listener.
const scrapeTimeout = 10 * time.Second

// serveHealth serves /metrics, /healthz, /readyz and profiles until ctx ends.
func (i *Ingress) serveHealth(ctx context.Context) error {
	if len(i.sockets.metrics) == 0 {
		return nil
	}
	server := &http.Server{
		Handler:           i.healthHandler(),
		ReadHeaderTimeout: scrapeTimeout,
		WriteTimeout:      scrapeTimeout,
	}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() }) // nothing worth waiting for
	defer stop()
	if err := server.Serve(i.sockets.metrics[0]); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve metrics: %w", err)
	}
	return nil
}

func (i *Ingress) healthHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(i.cfg.Registry, promhttp.HandlerOpts{}))
	if i.cfg.Profiles != nil {
		mux.Handle("GET /debug/pprof/", i.cfg.Profiles)
	}
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "ok\n") // the client is gone otherwise
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		switch {
		case i.stopping.Load():
			http.Error(w, "the ingress was asked to stop", http.StatusServiceUnavailable)
		case i.live.Table().Incarnation() == "":
			http.Error(w, "no routes were received yet", http.StatusServiceUnavailable)
		default:
			_, _ = io.WriteString(w, "ready\n") // the client is gone otherwise
		}
	})
	return mux
}
