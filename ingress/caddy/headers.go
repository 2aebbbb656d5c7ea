package caddy

import (
	"encoding/hex"
	"math/rand/v2"
	"net/http"
	"strings"
)

// Headers that the platform owns, in canonical form.
const (
	requestIDHeader   = "X-Request-Id"
	traceparentHeader = "Traceparent"
	revisionHeader    = "X-Runway-Revision"
	platformPrefix    = "X-Runway-"
)

// forwardingHeaders say where a request came from. Only a trusted proxy may.
// X-Forwarded-For, -Proto and -Host are set by the reverse proxy.
var forwardingHeaders = []string{
	"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix",
	"X-Forwarded-Proto", "X-Forwarded-Scheme", "X-Forwarded-Server", "X-Forwarded-Ssl",
	"X-Original-Host", "X-Original-Url", "X-Real-Ip", "X-Rewrite-Url", "True-Client-Ip",
}

// identityHeaders say who a request is from. They come from the platform or from
// the workload itself, never from outside.
var identityHeaders = []string{
	"X-Client-Cert", "X-Forwarded-Client-Cert", "X-Forwarded-User", "X-Forwarded-Email",
	"X-Forwarded-Groups", "X-Remote-User", "X-Ssl-Client-Cert",
}

// cleanRequest removes what a client must not say: headers of the platform in
// any spelling, forwarding headers unless it is a trusted proxy, and every
// hop-by-hop header, so that "Connection: X-Request-Id" takes none of ours away.
func cleanRequest(r *http.Request, trusted bool) {
	removeConnectionHeaders(r.Header)
	for name := range r.Header {
		plain := dashed(name)
		if isPlatform(plain) || plain != name && (isForwarding(plain) || isIdentity(plain)) {
			delete(r.Header, name)
		}
	}
	for _, name := range identityHeaders {
		delete(r.Header, name)
	}
	if trusted {
		return
	}
	for _, name := range forwardingHeaders {
		delete(r.Header, name)
	}
}

// removeConnectionHeaders removes the headers that Connection names. Of upgrades
// only WebSocket stays: an upgrade to h2c would let requests pass unseen.
func removeConnectionHeaders(h http.Header) {
	connection, ok := h["Connection"]
	upgrade := strings.EqualFold(h.Get("Upgrade"), "websocket")
	asked := false
	for _, line := range connection {
		for token := range strings.SplitSeq(line, ",") {
			token = http.CanonicalHeaderKey(strings.TrimSpace(token))
			if token == "Upgrade" {
				asked = true
				continue
			}
			delete(h, token)
		}
	}
	if ok {
		delete(h, "Connection")
	}
	delete(h, "Http2-Settings")
	if upgrade && asked {
		h["Connection"] = []string{"Upgrade"}
		return
	}
	delete(h, "Upgrade")
}

// removePlatformHeaders removes what only the platform says in an answer.
func removePlatformHeaders(h http.Header) {
	for name := range h {
		if isPlatform(name) {
			delete(h, name)
		}
	}
}

// identify gives the request an ID and a trace. A trace that came with it is
// passed on; a request ID that came with it is replaced, as anybody could choose
// the ID of somebody else's request.
func identify(r *http.Request) string {
	var random [24]byte
	for i := 0; i < len(random); i += 8 {
		putUint64(random[i:], rand.Uint64())
	}
	var text [48]byte
	hex.Encode(text[:], random[:])
	id := string(text[:32])
	r.Header[requestIDHeader] = []string{id}
	if parents := r.Header[traceparentHeader]; len(parents) != 1 || !validTraceparent(parents[0]) {
		r.Header[traceparentHeader] = []string{"00-" + id + "-" + string(text[32:]) + "-00"}
		delete(r.Header, "Tracestate")
	}
	return id
}

// validTraceparent checks the form of W3C Trace Context, version 00 and later.
func validTraceparent(s string) bool {
	if len(s) < 55 || len(s) > 55 && (s[:2] == "00" || s[55] != '-') || s[:2] == "ff" {
		return false
	}
	if s[2] != '-' || s[35] != '-' || s[52] != '-' {
		return false
	}
	trace, parent := s[3:35], s[36:52]
	return lowerHex(s[:2]) && lowerHex(trace) && lowerHex(parent) && lowerHex(s[53:55]) &&
		strings.Trim(trace, "0") != "" && strings.Trim(parent, "0") != ""
}

func lowerHex(s string) bool {
	for i := range len(s) {
		if (s[i] < '0' || s[i] > '9') && (s[i] < 'a' || s[i] > 'f') {
			return false
		}
	}
	return true
}

// dashed returns the name that back ends which treat "_" and "." as "-" see.
func dashed(name string) string {
	if !strings.ContainsAny(name, "_.") {
		return name
	}
	return http.CanonicalHeaderKey(strings.NewReplacer("_", "-", ".", "-").Replace(name))
}

func isPlatform(name string) bool {
	return len(name) >= len(platformPrefix) && strings.EqualFold(name[:len(platformPrefix)], platformPrefix)
}

func isForwarding(name string) bool { return contains(forwardingHeaders, name) }

func isIdentity(name string) bool { return contains(identityHeaders, name) }

func contains(names []string, name string) bool {
	for _, n := range names {
		if n == name {
			return true
		}
	}
	return false
}

func putUint64(b []byte, v uint64) {
	for i := range 8 {
		b[i] = byte(v >> (8 * i))
	}
}
