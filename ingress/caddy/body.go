package caddy

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
)

// errBodyTooLarge ends the reading of a body beyond its limit.
var errBodyTooLarge = errors.New("request body is larger than the limit of the service")

// limitedBody reads no more than the limit and tells of every read, so that the
// wait for an answer is counted from the last byte that was sent.
type limitedBody struct {
	io.ReadCloser
	limited bool
	left    int64
	over    atomic.Bool
	onRead  atomic.Pointer[func()]
}

// limitBody puts a limitedBody in front of the request's body, or returns nil
// when there is none. A limit of 0 is no limit.
func limitBody(r *http.Request, limit int64) *limitedBody {
	if r.Body == nil || r.ContentLength == 0 {
		return nil
	}
	b := &limitedBody{ReadCloser: r.Body, limited: limit > 0, left: limit}
	r.Body = b
	return b
}

// Read reads from the body; one byte more than the limit is an error.
func (b *limitedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
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

// exceeded tells that the limit was met.
func (b *limitedBody) exceeded() bool { return b.over.Load() }
