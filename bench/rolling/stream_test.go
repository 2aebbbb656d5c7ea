package main

import (
	"context"
	"io"
	"net"
	"testing"
	"time"
)

// head is how an answer begins that has no end, in chunks.
const head = "HTTP/1.1 200 OK\r\nX-Runway-Revision: 7\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: x\n\n\r\n"

const upgraded = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n\x82\x01x"

// A stream that ends in any other way than its protocol says is a lost request.
func TestStream_SeesEveryUncleanEnd(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, want string
		read       *reading
		handle     func(net.Conn)
	}{
		{"events to their end", "", events, says(head + "0\r\n\r\n")},
		{"events that are cut", "reset", events, says(head)},
		{"events that are cut within one", "reset", events, says(head + "4\r\ndata\r\n")},
		{"events cut by the end of the answer", "reset", events, says(head + "4\r\ndata\r\n0\r\n\r\n")},
		{"other events", "stream", events, says(head + "9\r\ndata: y\n\n\r\n")},
		{"502", "status", events, says("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")},
		{"nothing comes", "timeout", events, func(conn net.Conn) { says(head)(conn); _, _ = io.Copy(io.Discard, conn) }},
		{"close frame", "", webSocket, says(upgraded + "\x88\x02\x03\xe9")},
		{"no close frame", "reset", webSocket, says(upgraded)},
		{"cut within a frame", "reset", webSocket, says(upgraded + "\x82")},
		{"other frames", "stream", webSocket, says(upgraded + "\x82\x01y")},
		{"no upgrade", "status", webSocket, says(ok("svc/7\n"))},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			seen := newCounts("i1", test.name)
			c := client{target: target{address: serveOn(t, test.handle), host: "svc", timeout: patience(test.want)}, dialed: seen.dialed}
			defer c.close()
			_, f := c.streamFor(t.Context(), test.read, time.Minute, seen)
			if got := kindOf(f); got != test.want {
				t.Errorf("failure %q, want %q: %+v", got, test.want, f)
			}
			if seen.requests != 1 {
				t.Errorf("%d streams were counted, want 1", seen.requests)
			}
		})
	}
}

// A client opens the next stream after each end, and counts what was lost.
func TestStream_IsOpenedAgain(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	number := 0
	address := serveOn(t, func(conn net.Conn) {
		switch number++; number {
		case 1:
			says(head + "0\r\n\r\n")(conn)
		case 2:
			says(head)(conn)
		default:
			says(head)(conn)
			cancel() // the client's own end is no loss
			_, _ = io.Copy(io.Discard, conn)
		}
	})
	g := &group{name: "i1", target: target{address: address, host: "svc", timeout: 5 * time.Second}, stream: events, life: time.Minute, counts: newCounts("i1", "events")}
	g.run(ctx, 0)
	if got := report([]*group{g}, time.Second, true); got.Requests != 3 || got.Failed != 1 || got.Rows[0].Connections != 3 || got.Revisions["7"] < 2 {
		t.Errorf("3 streams, one of them cut: %+v", got)
	}
}

// A client that has had a stream for its life leaves it at once: it waits for no end.
func TestStream_IsLeftAfterItsLife(t *testing.T) {
	t.Parallel()
	for _, read := range []*reading{events, webSocket} {
		begin := head
		if read == webSocket {
			begin = upgraded
		}
		seen := newCounts("i1", "stream")
		c := client{
			target: target{address: serveOn(t, func(conn net.Conn) { says(begin)(conn); _, _ = io.Copy(io.Discard, conn) }), host: "svc", timeout: 5 * time.Second},
			dialed: seen.dialed,
		}
		began := time.Now()
		if _, f := c.streamFor(t.Context(), read, 0, seen); f != nil || time.Since(began) > 2*time.Second {
			t.Errorf("left after %v: %+v", time.Since(began), f)
		}
		c.close()
	}
}
