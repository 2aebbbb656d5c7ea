// Command service is what the clients of bench/rolling ask. It says its NAME first
// in every answer, then returns what it was sent; ?hold=DURATION makes it slow,
// ?once=ID is logged and refused when it comes again, and
// ?stream makes events without an end, or a WebSocket when one is asked for. It
// closes quiet connections after 5 s, as many servers do, and finishes what it
// began when it is asked to stop, unless it is ABRUPT and ends at once. BREAK makes a
// revision of it that does not work, with BREAK_FROM of replicas that begin from that
// time on; START is how long it takes to listen.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"strings"
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
	// deafAddress is where a deaf service listens instead of on its port.
	deafAddress = "127.0.0.1:9090"
)

// What BREAK can be. Everything else is a service that works.
const (
	// breakExit ends before it listens.
	breakExit = "exit"
	// breakDeaf listens, but not where it is asked.
	breakDeaf = "deaf"
	// breakGreedy takes memory until it is stopped.
	breakGreedy = "greedy"
	// breakSick answers everything with an error and a long page.
	breakSick = "sick"
)

// errAbrupt is the end of a service that finishes nothing.
var errAbrupt = errors.New("asked to stop, and so ended at once")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	address, answer := ":"+os.Getenv("PORT"), handler(os.Getenv("NAME"))
	switch broken() {
	case breakExit:
		log.Fatal("cannot start: no database")
	case breakDeaf:
		address = deafAddress
	case breakGreedy:
		fill()
	case breakSick:
		answer = sick
	}
	if d, err := time.ParseDuration(os.Getenv("START")); err == nil {
		<-time.After(min(d, holdMost))
	}
	log.Print("listening on ", address)
	if err := serve(ctx, address, answer); err != nil {
		log.Fatal(err)
	}
}

// broken is what does not work about this replica. A revision that fails half-way works
// at first.
func broken() string {
	from, err := time.Parse(time.RFC3339Nano, os.Getenv("BREAK_FROM"))
	if err == nil && time.Now().Before(from) {
		return ""
	}
	return os.Getenv("BREAK")
}

// fill writes to every page of more and more memory.
func fill() {
	var taken [][]byte
	for {
		taken = append(taken, bytes.Repeat([]byte{1}, 1<<20))
		if len(taken)%32 == 0 {
			log.Printf("filling the memory: %d MiB", len(taken))
		}
	}
}

func serve(ctx context.Context, address string, answer http.HandlerFunc) error {
	server := &http.Server{
		Addr: address, Handler: answer, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 5 * time.Second,
	}
	served := make(chan error, 1)
	go func() { served <- server.ListenAndServe() }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	if os.Getenv("ABRUPT") != "" {
		return errAbrupt
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
func handler(name string) http.HandlerFunc {
	had := &ledger{ids: map[string]bool{}}
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, bodyMost))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if r.URL.Query().Has("stream") {
			stream(w, r)
			return
		}
		if id := r.URL.Query().Get("once"); id != "" && !had.first(id) {
			http.Error(w, id+" was executed before", http.StatusConflict)
			return
		}
		if hold, err := time.ParseDuration(r.URL.Query().Get("hold")); err == nil {
			<-time.After(min(hold, holdMost))
		}
		_, _ = fmt.Fprintf(w, "%s\n%s", name, body) // a client that has gone is nobody's concern
	}
}

func sick(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "no database"+strings.Repeat(".", 1000)+"end of the page", http.StatusInternalServerError)
}
