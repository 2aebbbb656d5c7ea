package route

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestHost_Normalises(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 64)
	tests := []struct {
		name, raw, want string
		ok              bool
	}{
		{"plain", "web.default.example.com", "web.default.example.com", true},
		{"upper case", "WEB.Default.Example.COM", "web.default.example.com", true},
		{"port", "web.example.com:8443", "web.example.com", true},
		{"trailing dot", "web.example.com.", "web.example.com", true},
		{"trailing dot and port", "Web.example.com.:443", "web.example.com", true},
		{"underscore", "ai_gateway.example.com", "ai_gateway.example.com", true},
		{"single label", "localhost", "localhost", true},
		{"empty", "", "", false},
		{"dot", ".", "", false},
		{"two dots", "web..example.com", "", false},
		{"two trailing dots", "web.example.com..", "", false},
		{"leading dot", ".example.com", "", false},
		{"empty port", "web.example.com:", "", false},
		{"word as port", "web.example.com:https", "", false},
		{"second port", "web.example.com:80:80", "", false},
		{"IPv4", "10.0.0.1", "", false},
		{"IPv4 with port", "10.0.0.1:80", "", false},
		{"IPv6", "[::1]:80", "", false},
		{"path", "web.example.com/../other", "", false},
		{"user", "me@web.example.com", "", false},
		{"NUL", "web.example.com\x00.evil.com", "", false},
		{"space", "web example.com", "", false},
		{"comma", "web.example.com,other", "", false},
		{"Kelvin sign is not k", "wor\u212aer.example.com", "", false},
		{"hyphen first", "-web.example.com", "", false},
		{"hyphen last", "web-.example.com", "", false},
		{"label too long", long + ".example.com", "", false},
		{"name too long", strings.Repeat("abcdefg.", 32) + "com", "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, ok := Host(tt.raw)
			if got != tt.want || ok != tt.ok {
				t.Errorf("Host(%q) = %q, %v; want %q, %v", tt.raw, got, ok, tt.want, tt.ok)
			}
		})
	}
}

func TestHost_IsIdempotent(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.OneOf(
			rapid.String(),
			rapid.StringMatching(`[a-zA-Z0-9_.-]{1,40}(:[0-9]{1,6})?`),
		).Draw(t, "raw")
		host, ok := Host(raw)
		if !ok {
			return
		}
		again, ok := Host(host)
		if !ok || again != host {
			t.Fatalf("Host(%q) = %q, and Host of that = %q, %v", raw, host, again, ok)
		}
	})
}
