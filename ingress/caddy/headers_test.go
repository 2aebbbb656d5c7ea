package caddy

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
)

// echoHeaders answers with the headers that arrived, and tries to speak for the
// platform.
func echoHeaders(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Runway-Revision", "999")
	w.Header().Set("X-Runway-Anything", "forged")
	w.Header().Set("X-Request-Id", "forged")
	w.Header().Set("Server", "app")
	r.Header.Set("Host", r.Host)
	_ = json.NewEncoder(w).Encode(r.Header) // the test sees what is missing
}

func TestHeaders_FromOutsideAreNotTrusted(t *testing.T) {
	t.Parallel()
	host := proxy.route(t, nil, upstream(t, echoHeaders))
	forged := []string{
		"X-Forwarded-For", "6.6.6.6", "X-Forwarded-Proto", "ftp", "X-Forwarded-Host", "evil", "Forwarded", "for=6.6.6.6",
		"X-Real-Ip", "6.6.6.6", "True-Client-Ip", "6.6.6.6", "X-Forwarded-Port", "1", "X-Forwarded-Prefix", "/x",
		"X-Runway-Identity", "admin", "x-runway-space", "other", "X_Runway_Identity", "admin", "X-Runway_Identity", "admin",
		"X.Runway.Identity", "admin", "X-Forwarded-Client-Cert", "admin", "X-Remote-User", "admin", "X_Forwarded_For", "6.6.6.6",
		"X-Request-Id", "mine", "X_Request_Id", "mine", "X-Original-Url", "/admin",
		"X-App-Header", "stays", "Connection", "X-Request-Id, Traceparent, X-Forwarded-For, close",
	}
	client := proxy.newClient()
	client.Transport.(*http.Transport).ForceAttemptHTTP2 = false //nolint:forcetypeassert // HTTP/2 has no Connection header
	got, res := echoed(t, host, client, forged...)
	for name, want := range map[string]string{
		"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": host, "Host": host, "X-App-Header": "stays",
		"X-Request-Id": res.Header.Get("X-Request-Id"),
	} {
		if values := got[name]; len(values) != 1 || values[0] != want {
			t.Errorf("%s at the replica = %q, want %q", name, values, want)
		}
	}
	for name, values := range got {
		for _, value := range values {
			if strings.Contains("6.6.6.6 ftp evil admin other mine /admin /x", value) && value != "" {
				t.Errorf("forged %s: %s reached the replica", name, value)
			}
		}
	}
	if len(got["Traceparent"]) != 1 || !validTraceparent(got["Traceparent"][0]) {
		t.Errorf("Traceparent at the replica = %q", got["Traceparent"])
	}
	if res.Header.Get("X-Runway-Revision") != "7" || res.Header["X-Runway-Anything"] != nil || res.Header.Get("X-Request-Id") == "forged" {
		t.Errorf("the replica spoke for the platform: %v", res.Header)
	}
	if res.Header.Get("Server") != "app" {
		t.Errorf("Server = %q, want the replica's", res.Header.Get("Server"))
	}
}

func TestHeaders_OfATrustedProxyCount(t *testing.T) {
	t.Parallel()
	host := proxy.route(t, nil, upstream(t, echoHeaders))
	client := proxy.newClient()
	transport, ok := client.Transport.(*http.Transport)
	if !ok {
		t.Fatal("unexpected transport")
	}
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(trustedClient)}}
		return dialer.DialContext(ctx, network, proxy.https)
	}
	transport.TLSClientConfig = &tls.Config{RootCAs: proxy.ca.pool}
	got, _ := echoed(t, host, client, "X-Forwarded-For", "1.2.3.4", "X-Forwarded-Host", "www.example.net", "X-Runway-Identity", "admin")
	if want := "1.2.3.4, " + trustedClient; got["X-Forwarded-For"][0] != want {
		t.Errorf("X-Forwarded-For = %q, want %q", got["X-Forwarded-For"], want)
	}
	if got["X-Forwarded-Host"][0] != "www.example.net" {
		t.Errorf("X-Forwarded-Host = %q, want the proxy's", got["X-Forwarded-Host"])
	}
	if got["X-Runway-Identity"] != nil {
		t.Error("a trusted proxy set a header of the platform")
	}
}

func TestHeaders_ATraceIsPassedOn(t *testing.T) {
	t.Parallel()
	host := proxy.route(t, nil, upstream(t, echoHeaders))
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	got, _ := echoed(t, host, proxy.client, "Traceparent", parent, "Tracestate", "a=b")
	if got["Traceparent"][0] != parent || got["Tracestate"][0] != "a=b" {
		t.Errorf("trace = %q %q, want it unchanged", got["Traceparent"], got["Tracestate"])
	}
	got, _ = echoed(t, host, proxy.client, "Traceparent", "garbage", "Tracestate", "a=b")
	if !validTraceparent(got["Traceparent"][0]) || got["Tracestate"] != nil {
		t.Errorf("an invalid trace was passed on: %q %q", got["Traceparent"], got["Tracestate"])
	}
}

func echoed(t *testing.T, host string, client *http.Client, header ...string) (http.Header, *http.Response) {
	t.Helper()
	req := newRequest(t, http.MethodGet, "https://"+host+"/", nil)
	for i := 0; i < len(header); i += 2 {
		req.Header[header[i]] = []string{header[i+1]}
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	got := http.Header{}
	if err := json.NewDecoder(res.Body).Decode(&got); err != nil || res.StatusCode != 200 {
		t.Fatalf("answer %d: %v", res.StatusCode, err)
	}
	return got, res
}

func TestHeaders_OverTheLimitAreRefused(t *testing.T) {
	t.Parallel()
	host := proxy.route(t, nil, upstream(t, echoHeaders))
	internal := strings.Replace(host, ".example.com", ".default.internal", 1)
	for _, tt := range []struct{ size, status int }{{30 << 10, 200}, {40 << 10, 431}} {
		request := "GET / HTTP/1.1\r\nHost: " + internal + "\r\nX-Big: " + strings.Repeat("a", tt.size) + "\r\nConnection: close\r\n\r\n"
		if got := rawStatus(t, proxy.internal, request); got != tt.status {
			t.Errorf("%d bytes of headers = %d, want %d", tt.size, got, tt.status)
		}
	}
	var many strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&many, "X-Header-Number-%d: %s\r\n", i, strings.Repeat("a", 30))
	}
	request := "GET / HTTP/1.1\r\nHost: " + internal + "\r\n" + many.String() + "Connection: close\r\n\r\n"
	if got := rawStatus(t, proxy.internal, request); got != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("1,000 headers = %d", got)
	}
	if res, _ := proxy.get(t, host, "/"); res.StatusCode != http.StatusOK {
		t.Errorf("the next request = %d", res.StatusCode)
	}
}

func TestValidTraceparent(t *testing.T) {
	t.Parallel()
	const trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	tests := []struct {
		name, value string
		want        bool
	}{
		{"version 00", "00-" + trace + "-" + parent + "-01", true},
		{"later version with more", "01-" + trace + "-" + parent + "-01-more", true},
		{"version 00 with more", "00-" + trace + "-" + parent + "-01-more", false},
		{"version ff", "ff-" + trace + "-" + parent + "-01", false},
		{"zero trace", "00-" + strings.Repeat("0", 32) + "-" + parent + "-01", false},
		{"zero parent", "00-" + trace + "-" + strings.Repeat("0", 16) + "-01", false},
		{"upper case", "00-" + strings.ToUpper(trace) + "-" + parent + "-01", false},
		{"empty", "", false},
		{"short", "00-" + trace, false},
	}
	for _, tt := range tests {
		if got := validTraceparent(tt.value); got != tt.want {
			t.Errorf("%s: validTraceparent(%q) = %v, want %v", tt.name, tt.value, got, tt.want)
		}
	}
}
