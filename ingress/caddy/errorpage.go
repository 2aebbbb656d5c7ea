package caddy

import (
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"strconv"
	"strings"

	"github.com/runway-platform/runway/proto/code"
)

// problem is what an error page says, in the form of RFC 9457.
type problem struct {
	Title     string    `json:"title"`
	Status    int       `json:"status"`
	Code      code.Code `json:"code"`
	Detail    string    `json:"detail"`
	RequestID string    `json:"request_id"`
}

// refuse answers with an error page in the form that the client accepts. It does
// nothing when an answer was begun.
func (x *exchange) refuse(status int, c code.Code) {
	if x.status != 0 {
		return
	}
	p := problem{Title: http.StatusText(status), Status: status, Code: c, RequestID: x.id}
	if entry, ok := code.Lookup(c); ok {
		p.Detail = entry.Sentence
	}
	h := x.Header()
	clear(h)
	if isGRPC(x.request) {
		x.refuseGRPC(p)
		return
	}
	contentType, page := p.render(x.request.Header.Get("Accept"))
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(page)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "1")
	}
	x.WriteHeader(status)
	if x.request.Method != http.MethodHead {
		_, _ = x.Write(page) // a client that is gone needs no page
	}
}

// refuseGRPC answers in headers only, as gRPC clients expect it.
func (x *exchange) refuseGRPC(p problem) {
	h := x.Header()
	h.Set("Content-Type", "application/grpc")
	h.Set("Grpc-Status", strconv.Itoa(grpcOf(p.Status)))
	h.Set("Grpc-Message", fmt.Sprintf("%s %s (request %s)", p.Code, p.Detail, p.RequestID))
	x.WriteHeader(http.StatusOK)
}

// render returns the page as HTML, JSON or text, whichever is accepted first.
func (p problem) render(accept string) (contentType string, page []byte) {
	for part := range strings.SplitSeq(accept, ",") {
		media, _, _ := strings.Cut(part, ";")
		switch strings.ToLower(strings.TrimSpace(media)) {
		case "text/html", "application/xhtml+xml":
			return "text/html; charset=utf-8", p.html()
		case "application/json", "application/problem+json":
			return "application/problem+json", p.json()
		case "text/plain", "text/*", "*/*":
			return "text/plain; charset=utf-8", p.text()
		}
	}
	return "text/plain; charset=utf-8", p.text()
}

func (p problem) text() []byte {
	return fmt.Appendf(nil, "%d %s\n%s: %s\nrequest: %s\n", p.Status, p.Title, p.Code, p.Detail, p.RequestID)
}

func (p problem) json() []byte {
	page, err := json.Marshal(p)
	if err != nil {
		return p.text() // cannot happen: all fields are text and numbers
	}
	return append(page, '\n')
}

func (p problem) html() []byte {
	return fmt.Appendf(nil, htmlPage, p.Status, html.EscapeString(p.Title), p.Status, html.EscapeString(p.Title),
		html.EscapeString(p.Detail), html.EscapeString(string(p.Code)), html.EscapeString(p.RequestID))
}

// htmlPage needs nothing from elsewhere.
const htmlPage = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>%d %s</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1rem;color:#222}code{color:#555}</style>
<h1>%d %s</h1>
<p>%s</p>
<p><code>%s · request %s</code></p>
</html>
`
