package caddy

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
)

// errBodyTooLarge ends the reading of a body beyond its limit.
var errBodyTooLarge = errors.New("request body is larger than the limit of the service")

// requestBody watches a body while it is sent to a replica: it stops at the
// limit, tells of every read, so that the wait for an answer is counted from the
// last byte that was sent, and knows whether the end was reached.
type requestBody struct {
	io.ReadCloser
	limited bool
	left    int64
	over    atomic.Bool
	ended   atomic.Bool
	onRead  atomic.Pointer[func()]
}

// watchBody puts a requestBody in front of the request's body, or returns nil
// when there is none.
func watchBody(r *http.Request) *requestBody {
	if r.Body == nil || r.ContentLength == 0 {
		return nil
	}
	b := &requestBody{ReadCloser: r.Body}
	r.Body = b
	return b
}

// limit bounds what can be read; 0 is no limit. It is set before the first read.
func (b *requestBody) limit(bytes int64) { b.limited, b.left = bytes > 0, bytes }

// Read reads from the body; one byte more than the limit is an error.
func (b *requestBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF { //nolint:errorlint // readers return it as it is
		b.ended.Store(true)
	}
	if onRead := b.onRead.Load(); onRead != nil {
		(*onRead)()
	}
	if !b.limited {
		return n, err
	}
	b.left -= int64(n)
	if b.left < 0 {
		b.over.Store(true)
		return 0, errBodyTooLarge
	}
	return n, err
}
