package main

import (
	"context"
	"io"
	"net/http"
	"time"
)

// streamEvery is the time between two events of a stream that names none, and the
// shortest.
const streamEvery = 50 * time.Millisecond

// stream sends events until the client or somebody between ends it.
func stream(w http.ResponseWriter, r *http.Request) {
	pace := streamEvery
	if asked, err := time.ParseDuration(r.URL.Query().Get("stream")); err == nil {
		pace = max(pace, asked)
	}
	if r.Header.Get("Upgrade") != "" {
		webSocket(w, pace)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	control := http.NewResponseController(w)
	every(r.Context(), pace, func() error {
		if _, err := io.WriteString(w, "data: x\n\n"); err != nil {
			return err
		}
		return control.Flush()
	})
}

// webSocket sends a frame at a time until the client closes.
func webSocket(w http.ResponseWriter, pace time.Duration) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close() //nolint:errcheck // the stream is over
	if _, err := io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"); err != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer cancel() // clients say nothing but that they close
		_, _ = buffered.ReadByte()
	}()
	every(ctx, pace, func() error {
		_, err := conn.Write([]byte{0x82, 1, 'x'})
		return err
	})
}

// every does something again and again until it fails or ctx ends.
func every(ctx context.Context, pace time.Duration, do func() error) {
	ticker := time.NewTicker(pace)
	defer ticker.Stop()
	for ctx.Err() == nil && do() == nil {
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}
