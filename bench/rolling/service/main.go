// Command service is what the clients of bench/rolling ask. It says its NAME first
// in every answer, then returns what it was sent; ?hold=DURATION makes it slow. It
// closes quiet connections after 5 s, as many servers do, and finishes what it
// began when it is asked to stop.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const (
	// holdMost bounds how slow an answer can be asked to be.
	holdMost = 20 * time.Second
	// bodyMost bounds what is returned.
	bodyMost = 1 << 20
	// shutdownMost leaves some of the platform's 30 s between SIGTERM and SIGKILL.
	shutdownMost = 25 * time.Second
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := serve(ctx, ":"+os.Getenv("PORT"), os.Getenv("NAME")); err != nil {
		log.Fatal(err)
	}
}

func serve(ctx context.Context, address, name string) error {
	server := &http.Server{
		Addr: address, Handler: handler(name), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 5 * time.Second,
	}
	served := make(chan error, 1)
	go func() { served <- server.ListenAndServe() }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownMost)
	defer cancel()
	err := server.Shutdown(limited)
	if serveErr := <-served; !errors.Is(serveErr, http.ErrServerClosed) {
		err = errors.Join(err, serveErr)
	}
	return err
}

// handler answers every path.
func handler(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, bodyMost))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if hold, err := time.ParseDuration(r.URL.Query().Get("hold")); err == nil {
			<-time.After(min(hold, holdMost))
		}
		_, _ = fmt.Fprintf(w, "%s\n%s", name, body) // a client that has gone is nobody's concern
	})
}
