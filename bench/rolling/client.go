package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

// answerMost is more than any right answer has.
const answerMost = 64 << 10

// client asks over connections of its own. net/http's client is not used: it
// repeats a request on another connection without telling.
type client struct {
	target target
	dialed func()

	conn   net.Conn
	reader *bufio.Reader
	// used counts the requests on conn.
	used int
}

// ask sends one request and returns the revision that answered. On an error the
// connection is given up.
func (c *client) ask(method, query string, payload []byte) (revision string, f *failure) {
	deadline := time.Now().Add(c.target.timeout)
	if f := c.connect(deadline); f != nil {
		return "", f
	}
	reused := c.used
	c.used++
	revision, keep, f := c.exchange(method, query, payload, deadline)
	if f != nil {
		f.Reused, f.Local = reused, c.conn.LocalAddr().String()
	}
	if f != nil || !keep {
		c.close()
	}
	return revision, f
}

func (c *client) close() {
	if c.conn != nil {
		_ = c.conn.Close() // what counts was read before
		c.conn = nil
	}
}

// connect makes a connection unless there is one.
func (c *client) connect(deadline time.Time) *failure {
	if c.conn != nil {
		return deadlineFailure(c.conn.SetDeadline(deadline))
	}
	c.dialed()
	conn, err := (&net.Dialer{Deadline: deadline}).Dial("tcp", c.target.address)
	if err != nil {
		return failed("connect", err)
	}
	if f := deadlineFailure(conn.SetDeadline(deadline)); f != nil {
		return f
	}
	if c.target.tls != nil {
		encrypted := tls.Client(conn, c.target.tls)
		if err := encrypted.HandshakeContext(context.Background()); err != nil {
			_ = conn.Close()
			f := failed("tls", err)
			f.Local = conn.LocalAddr().String()
			return f
		}
		conn = encrypted
	}
	c.conn, c.reader, c.used = conn, bufio.NewReader(conn), 0
	return nil
}

func deadlineFailure(err error) *failure {
	if err == nil {
		return nil
	}
	return failed("connect", err)
}

// exchange is one request and its answer; keep tells that the connection is good
// for another.
func (c *client) exchange(method, query string, payload []byte, deadline time.Time) (revision string, keep bool, f *failure) {
	request, err := http.NewRequest(method, "http://"+c.target.host+"/"+query, bytes.NewReader(payload))
	if err != nil {
		return "", false, failed("request", err)
	}
	request.Close = !c.target.keep
	if err := request.Write(c.conn); err != nil {
		return "", false, failed("write", err)
	}
	response, err := http.ReadResponse(c.reader, request)
	if err != nil {
		return "", false, failed("read", err)
	}
	defer response.Body.Close() //nolint:errcheck // the connection's end is judged, not the body's
	body, err := io.ReadAll(io.LimitReader(response.Body, answerMost))
	revision = response.Header.Get("X-Runway-Revision")
	if f = judge(response, body, err, c.target.name+"/"+revision+"\n"+string(payload)); f != nil {
		f.RequestID = response.Header.Get("X-Request-Id")
		return revision, false, f
	}
	return revision, c.target.keep && !response.Close, nil
}

// judge returns what is wrong with an answer.
func judge(response *http.Response, body []byte, err error, want string) *failure {
	switch {
	case err != nil:
		return failed("read", err)
	case response.StatusCode != http.StatusOK:
		return &failure{Kind: "status", Error: response.Status + ": " + excerpt(body)}
	case string(body) != want:
		return &failure{Kind: "body", Error: fmt.Sprintf("%q, want %q", excerpt(body), excerpt([]byte(want)))}
	default:
		return nil
	}
}

func excerpt(body []byte) string {
	return strings.TrimSpace(string(body[:min(len(body), 200)]))
}

// failure is one request without its answer.
type failure struct {
	// Kind is connect, tls, write, read, reset, timeout, status or body.
	Kind      string    `json:"kind"`
	Error     string    `json:"error"`
	At        time.Time `json:"at"` // when the request began
	Took      string    `json:"took"`
	Group     string    `json:"group"`
	Method    string    `json:"method"`
	Local     string    `json:"local,omitempty"`
	Reused    int       `json:"reused"` // requests before it on the connection
	RequestID string    `json:"request_id,omitempty"`
	Revision  string    `json:"revision,omitempty"`
}

// failed names an error by what it is, else by the step that it happened in.
func failed(step string, err error) *failure {
	f := &failure{Kind: step, Error: step + ": " + err.Error()}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		f.Kind = "timeout"
	case step == "connect" || step == "tls":
	case strings.Contains(err.Error(), "reset"), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		f.Kind = "reset"
	}
	return f
}
