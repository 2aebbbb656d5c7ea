package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// reopenAfter is the pause after a stream or a slow request that was lost.
const reopenAfter = 100 * time.Millisecond

// frameClose is the first byte of a WebSocket's close frame.
const frameClose = 0x88

// errNoStream means that something came that the service does not send.
var errNoStream = errors.New("not a stream")

// keepStream is a client of streams without an end: one after the other, each until it was
// closed as its protocol says or the client has had it for its life. Every other end is
// a lost request.
func (g *group) keepStream(ctx context.Context) {
	c := &client{target: g.target, dialed: g.counts.dialed}
	defer c.close()
	for ctx.Err() == nil {
		began := time.Now()
		revision, f := c.streamFor(ctx, g.stream, g.life, g.counts)
		c.close()
		if f == nil || ctx.Err() != nil {
			continue
		}
		f.At, f.Took, f.Group, f.Method, f.Revision = began, time.Since(began).String(), g.name, http.MethodGet+" /"+streamQuery, revision
		g.counts.lose(f)
		wait(ctx, reopenAfter)
	}
}

// streamFor opens a stream and reads it to its end, or for its life.
func (c *client) streamFor(ctx context.Context, read *reading, life time.Duration, counts *counts) (revision string, f *failure) {
	if f := c.connect(time.Now().Add(c.target.timeout)); f != nil {
		counts.opened("")
		return "", f
	}
	conn := c.conn
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })() // nobody waits for the rest
	response, f := c.openStream(read)
	counts.opened(response.Header.Get("X-Runway-Revision"))
	if f != nil {
		return "", f
	}
	defer func() {
		c.close()                 // first: an open body is read to its end
		_ = response.Body.Close() // the connection's end is judged, not the body's
	}()
	for end := time.Now().Add(life); time.Now().Before(end); {
		if f := deadlineFailure(conn.SetDeadline(time.Now().Add(c.target.timeout))); f != nil {
			return response.Header.Get("X-Runway-Revision"), f
		}
		closed, err := read.next(c, response.Body)
		if err != nil {
			return response.Header.Get("X-Runway-Revision"), failed("stream", err)
		}
		if closed {
			return "", nil
		}
	}
	return "", nil
}

// openStream asks for a stream and reads the head of the answer.
func (c *client) openStream(read *reading) (*http.Response, *failure) {
	none := &http.Response{Header: http.Header{}, Body: http.NoBody}
	if _, err := fmt.Fprintf(c.conn, "GET /%s HTTP/1.1\r\nHost: %s\r\n%s\r\n", streamQuery, c.target.host, read.headers); err != nil {
		return none, failed("write", err)
	}
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return none, failed("read", err)
	}
	if response.StatusCode != read.status {
		body, _ := io.ReadAll(io.LimitReader(response.Body, answerMost))
		return response, &failure{Kind: "status", Error: response.Status + ": " + excerpt(body)}
	}
	return response, nil
}

// streamQuery asks the service for a stream.
const streamQuery = "?stream=500ms"

// reading is how a kind of stream begins, goes on and ends.
type reading struct {
	headers string
	status  int
	// next reads what comes; closed tells that it was the proper end.
	next func(c *client, body io.Reader) (closed bool, err error)
}

// events end with a whole answer.
var events = &reading{status: http.StatusOK, next: func(_ *client, body io.Reader) (bool, error) {
	event := make([]byte, len("data: x\n\n"))
	_, err := io.ReadFull(body, event)
	switch {
	case errors.Is(err, io.EOF):
		return true, nil
	case err == nil && !bytes.Equal(event, []byte("data: x\n\n")):
		return false, fmt.Errorf("%w: %q", errNoStream, event)
	default:
		return false, err
	}
}}

// webSocket ends with a close frame. The service's frames have one byte.
var webSocket = &reading{
	headers: "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: x\r\n", status: http.StatusSwitchingProtocols,
	next: func(c *client, _ io.Reader) (bool, error) {
		frame := make([]byte, 3)
		_, err := io.ReadFull(c.reader, frame)
		switch {
		case err != nil:
			return false, err
		case frame[0] == frameClose:
			return true, nil
		case !bytes.Equal(frame, []byte{0x82, 1, 'x'}):
			return false, fmt.Errorf("%w: % x", errNoStream, frame)
		default:
			return false, nil
		}
	},
}

// wait returns after d or when ctx ends.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
