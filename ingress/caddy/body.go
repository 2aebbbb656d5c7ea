package caddy

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
)

// keptBytes is how much of a body is kept until more was read. A transport that
// has written nothing yet has read less: it reads 32 kB at a time.
const keptBytes = 64 << 10

// errBodyTooLarge ends the reading of a body beyond its limit.
var errBodyTooLarge = errors.New("request body is larger than the limit of the service")

// errNotKept means that more of a body was read than is kept.
var errNotKept = errors.New("too much of the request body was sent to send it again")

// requestBody watches a body while it is sent to a replica: it stops at the
// limit, tells of every read, so that the wait for an answer is counted from the
// last byte that was sent, knows whether the end was reached, and keeps the
// beginning, so that it can be read again for another connection.
type requestBody struct {
	io.ReadCloser
	most   int64 // 0 is no limit
	read   int64
	kept   []byte // all that was read, nil when that is too much
	next   int    // in kept
	over   atomic.Bool
	ended  atomic.Bool
	onRead atomic.Pointer[func()]
}

// watchBody puts a requestBody in front of the request's body, or returns nil
// when there is none.
func watchBody(r *http.Request) *requestBody {
	if r.Body == nil || r.ContentLength == 0 {
		return nil
	}
	b := &requestBody{ReadCloser: r.Body, kept: make([]byte, 0, min(max(r.ContentLength, 512), keptBytes))}
	r.Body = b
	return b
}

// limit bounds what can be read; 0 is no limit. It is set before the first read.
func (b *requestBody) limit(bytes int64) { b.most = bytes }

// rewind makes the next Read begin anew and returns whether that is possible. No
// other Read may be under way.
func (b *requestBody) rewind() bool {
	b.next = 0
	return b.kept != nil
}

// Read reads from the body; one byte more than the limit is an error.
func (b *requestBody) Read(p []byte) (int, error) {
	if b.next < len(b.kept) {
		n := copy(p, b.kept[b.next:])
		b.next += n
		return n, nil
	}
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF { //nolint:errorlint // readers return it as it is
		b.ended.Store(true)
	}
	b.keep(p[:n])
	if onRead := b.onRead.Load(); onRead != nil {
		(*onRead)()
	}
	if b.read += int64(n); b.most > 0 && b.read > b.most {
		b.over.Store(true)
		return 0, errBodyTooLarge
	}
	return n, err
}

func (b *requestBody) keep(p []byte) {
	if b.kept == nil || len(b.kept)+len(p) > keptBytes {
		b.kept = nil
		return
	}
	b.kept = append(b.kept, p...)
	b.next = len(b.kept)
}

// sending is a body as one connection sends it. Closing it leaves the body open
// for another connection, unless a Read waits for the client.
type sending struct {
	io.ReadCloser
	reading atomic.Bool
	closed  atomic.Bool
}

// Read reads from the body until Close.
func (s *sending) Read(p []byte) (int, error) {
	s.reading.Store(true) // before closed is read: Close looks at them in the other order
	defer s.reading.Store(false)
	if s.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	return s.ReadCloser.Read(p)
}

// Close ends the reading over this connection. The server closes the body itself
// once the request is answered.
func (s *sending) Close() error {
	s.closed.Store(true)
	if s.reading.Load() {
		return s.ReadCloser.Close()
	}
	return nil
}

// resendable lets the transport send the request once more over a new connection
// when it knows that the first one took nothing of it. The body is read as it is: what
// Caddy puts around it may not be read and closed at once, as a transport does.
func resendable(r *http.Request, body *requestBody) *http.Request {
	if body == nil || r.Body == nil {
		return r
	}
	again := *r
	again.Body = &sending{ReadCloser: body}
	again.GetBody = func() (io.ReadCloser, error) {
		if !body.rewind() {
			return nil, errNotKept
		}
		return &sending{ReadCloser: body}, nil
	}
	return &again
}
