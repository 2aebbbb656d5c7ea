package caddy

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// No request may hide in another one: whatever the bytes, the replica sees the
// requests that the proxy answered, and none of them is the hidden one.
func TestSmuggling_NothingHidesInARequest(t *testing.T) {
	t.Parallel()
	const hidden = "GET /hidden HTTP/1.1\r\nHost: HOST\r\n\r\n"
	chunked := "0\r\n\r\n" + hidden
	head := func(lines ...string) string {
		return "POST /open HTTP/1.1\r\nHost: HOST\r\n" + strings.Join(lines, "\r\n") + "\r\n\r\n"
	}
	cases := map[string]string{
		"CL.TE":                     head("Content-Length: "+fmt.Sprint(len(chunked)), "Transfer-Encoding: chunked") + chunked,
		"TE.CL":                     head("Transfer-Encoding: chunked", "Content-Length: 4") + "5c\r\n" + hidden + "\r\n0\r\n\r\n",
		"two lengths":               head("Content-Length: 0", "Content-Length: "+fmt.Sprint(len(hidden))) + hidden,
		"length list":               head("Content-Length: 0, 44") + hidden,
		"length with plus":          head("Content-Length: +0") + hidden,
		"negative length":           head("Content-Length: -1") + hidden,
		"length in hex":             head("Content-Length: 0x10") + hidden,
		"length with space":         head("Content-Length : 44") + hidden,
		"TE with space":             head("Transfer-Encoding : chunked", "Content-Length: 0") + chunked,
		"TE with tab":               head("Transfer-Encoding:\tchunked", "Content-Length: 5") + chunked,
		"TE xchunked":               head("Transfer-Encoding: xchunked") + chunked,
		"TE identity":               head("Transfer-Encoding: identity", "Content-Length: 0") + hidden,
		"TE twice":                  head("Transfer-Encoding: chunked", "Transfer-Encoding: identity") + chunked,
		"TE list":                   head("Transfer-Encoding: chunked, identity") + chunked,
		"TE gzip, chunked":          head("Transfer-Encoding: gzip, chunked") + chunked,
		"TE quoted":                 head(`Transfer-Encoding: "chunked"`) + chunked,
		"TE folded":                 head("Transfer-Encoding:", " chunked", "Content-Length: 5") + chunked,
		"folded header":             head("X-A: b", " Transfer-Encoding: chunked") + chunked,
		"TE upper case":             head("TRANSFER-ENCODING: CHUNKED") + chunked,
		"TE underscore":             head("Transfer_Encoding: chunked", "Content-Length: 0") + hidden,
		"TE in HTTP/1.0":            strings.Replace(head("Transfer-Encoding: chunked"), "HTTP/1.1", "HTTP/1.0", 1) + chunked,
		"bare LF lines":             strings.ReplaceAll(head("Content-Length: 0"), "\r\n", "\n") + hidden,
		"bare CR":                   head("X-A: b\rContent-Length: 44") + hidden,
		"NUL in name":               head("X-\x00A: b") + hidden,
		"NUL in value":              head("X-A: b\x00c") + hidden,
		"space in name":             head("X A: b") + hidden,
		"no colon":                  head("nonsense") + hidden,
		"empty name":                head(": b") + hidden,
		"chunk size with plus":      head("Transfer-Encoding: chunked") + "+0\r\n\r\n" + hidden,
		"chunk size with 0x":        head("Transfer-Encoding: chunked") + "0x0\r\n\r\n" + hidden,
		"chunk size overflow":       head("Transfer-Encoding: chunked") + "fffffffffffffffff\r\n" + hidden,
		"chunk bare LF":             head("Transfer-Encoding: chunked") + "0\n\n" + hidden,
		"chunk extension with LF":   head("Transfer-Encoding: chunked") + "0;a\n\r\n" + hidden,
		"bad chunk, unknown name":   strings.Replace(head("Transfer-Encoding: chunked"), "HOST", "unknown.internal", 1) + "0;a\n\r\n" + hidden,
		"body, unknown name":        strings.Replace(head("Content-Length: 3"), "HOST", "unknown.internal", 1) + "abc" + hidden,
		"chunk without end":         head("Transfer-Encoding: chunked") + "3\r\nabcXX0\r\n\r\n" + hidden,
		"chunk trailer with length": head("Transfer-Encoding: chunked", "Trailer: Content-Length") + "0\r\nContent-Length: 44\r\n\r\n" + hidden,
		"two hosts":                 head("Host: other.default.internal") + hidden,
		"absolute URI of another":   "GET http://other.default.internal/open HTTP/1.1\r\nHost: HOST\r\n\r\n",
		"no host":                   "GET /open HTTP/1.1\r\n\r\n" + hidden,
		"HTTP/0.9":                  "GET /open\r\n" + hidden,
		"HTTP/1.2":                  "GET /open HTTP/1.2\r\nHost: HOST\r\n\r\n",
		"HTTP/2 preface":            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + hidden,
		"method with space":         "GE T /open HTTP/1.1\r\nHost: HOST\r\n\r\n" + hidden,
		"URI with CR LF":            "GET /open\r\nX: HTTP/1.1\r\nHost: HOST\r\n\r\n",
		"expect and no body":        head("Expect: 100-continue", "Content-Length: 44"),
		"expect odd":                head("Expect: something", "Content-Length: 0") + hidden,
		"connect":                   "CONNECT HOST:80 HTTP/1.1\r\nHost: HOST\r\n\r\n" + hidden,
		"upgrade h2c":               head("Upgrade: h2c", "Connection: Upgrade", "Content-Length: 0") + hidden,
		"connection names length":   head("Connection: Content-Length", "Content-Length: 3") + "abc",
		"connection names TE":       head("Connection: Transfer-Encoding", "Transfer-Encoding: chunked") + "3\r\nabc\r\n0\r\n\r\n",
		"length beyond int64":       head("Content-Length: 99999999999999999999") + hidden,
		"0.CL":                      "GET /open HTTP/1.1\r\nHost: HOST\r\nContent-Length: 3\r\n\r\nabc",
	}
	for name, raw := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			replica := newRecorder(t)
			host := proxy.route(t, nil, replica.address)
			internal := strings.Replace(host, ".example.com", ".default.internal", 1)
			answers := exchangeRaw(t, strings.ReplaceAll(raw, "HOST", internal))
			seen := replica.requests()
			if len(seen) > len(answers) {
				t.Errorf("%d answers and %d requests at the replica: %v, %q", len(answers), len(seen), answers, seen)
			}
			if strings.Contains(raw, hidden) && len(answers) > 0 && answers[0] == 400 && len(seen) > 0 {
				t.Errorf("refused and passed on: %q", seen)
			}
			for i, request := range seen {
				// Some cases are two plain requests to us: then each has its own answer,
				// 499 if the half-closed connection counted as a client that left.
				apart := i > 0 && i < len(answers) && answers[i] != 400
				if strings.Contains(request, "/hidden") && !apart {
					t.Errorf("the hidden request reached the replica within another: %q, answers %v", seen, answers)
				}
			}
		})
	}
}

// exchangeRaw sends the bytes over one connection and returns the statuses of
// all answers.
func exchangeRaw(t *testing.T, raw string) []int {
	t.Helper()
	conn, err := net.Dial("tcp", proxy.internal)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, raw); err != nil {
		return nil // refused while it was sent
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		return nil
	}
	var answers []int
	reader := bufio.NewReader(conn)
	for {
		res, err := http.ReadResponse(reader, nil)
		if err != nil {
			return answers
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		if res.StatusCode != http.StatusContinue {
			answers = append(answers, res.StatusCode)
		}
	}
}

// recorder is a replica that notes every request line.
type recorder struct {
	address string
	mu      sync.Mutex
	lines   []string
}

func newRecorder(t *testing.T) *recorder {
	t.Helper()
	r := new(recorder)
	r.address = upstream(t, func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		r.lines = append(r.lines, req.Method+" "+req.RequestURI)
		r.mu.Unlock()
		drain(w, req)
	})
	return r
}

func (r *recorder) requests() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.lines...)
}

// A connection goes on after requests that ended properly, and only then.
func TestConnection_ClosesAfterABodyWithoutProperEnd(t *testing.T) {
	t.Parallel()
	host := proxy.route(t, nil, upstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/whole" {
			drain(w, r)
			return
		}
		control := http.NewResponseController(w)
		if err := errors.Join(control.EnableFullDuplex(), control.Flush()); err != nil {
			t.Error(err)
		}
	}))
	internal := strings.Replace(host, ".example.com", ".default.internal", 1)
	tests := []struct {
		name, request string
		closes        bool
	}{
		{"no body", "GET /whole HTTP/1.1\r\nHost: " + internal + "\r\n\r\n", false},
		{"length", "POST /whole HTTP/1.1\r\nHost: " + internal + "\r\nContent-Length: 3\r\n\r\nabc", false},
		{"chunks", "POST /whole HTTP/1.1\r\nHost: " + internal + "\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", false},
		{"bad chunk", "POST /whole HTTP/1.1\r\nHost: " + internal + "\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcXX", true},
		{"unknown name", "POST / HTTP/1.1\r\nHost: unknown.internal\r\nContent-Length: 3\r\n\r\nabc", true},
		{"answered early", "POST / HTTP/1.1\r\nHost: " + internal + "\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", true},
		{"connect", "CONNECT " + internal + " HTTP/1.1\r\nHost: " + internal + "\r\n\r\n", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := rawExchange(t, proxy.internal, tt.request).Close; got != tt.closes {
				t.Errorf("connection closes = %v, want %v", got, tt.closes)
			}
		})
	}
}
