package names

import (
	"errors"
	"strings"
	"testing"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

func key(space, service, environment string) *runwayv1.WorkloadKey {
	return &runwayv1.WorkloadKey{Space: space, Service: service, Environment: environment}
}

func TestHostNames(t *testing.T) {
	t.Parallel()
	tests := []struct {
		key                    *runwayv1.WorkloadKey
		public, internal, text string
	}{
		{key("default", "hello", Production), "hello.default.runway.localhost", "hello.default.internal", "default/hello"},
		{key("pay", "api", "staging"), "api.staging.pay.runway.localhost", "api.staging.pay.internal", "pay/api (staging)"},
	}
	for _, tt := range tests {
		if got := Public(tt.key, "runway.localhost"); got != tt.public {
			t.Errorf("Public(%v) = %q, want %q", tt.key, got, tt.public)
		}
		if got := Internal(tt.key); got != tt.internal {
			t.Errorf("Internal(%v) = %q, want %q", tt.key, got, tt.internal)
		}
		if got := String(tt.key); got != tt.text {
			t.Errorf("String(%v) = %q, want %q", tt.key, got, tt.text)
		}
	}
}

func TestURL(t *testing.T) {
	t.Parallel()
	for port, want := range map[uint32]string{0: "https://h/", 443: "https://h/", 8443: "https://h:8443/"} {
		if got := URL("h", port); got != want {
			t.Errorf("URL(h, %d) = %q, want %q", port, got, want)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"a", "web", "web-2", strings.Repeat("a", 63)} {
		if err := Check("service", good); err != nil {
			t.Errorf("Check(%q) = %v", good, err)
		}
	}
	for _, bad := range []string{
		"", "-a", "a-", "2web", "Web", "ai_gateway", "a.b", "a/b", "a\n", "wéb", "раy", "..", "localhost", "metadata", "internal", "wpad", "xn--abc", strings.Repeat("a", 64), strings.Repeat("x", 10000),
	} {
		err := Check("service", bad)
		if !errors.Is(err, ErrName) {
			t.Errorf("Check(%q) = %v, want ErrName", bad, err)
		}
		if len(err.Error()) > 400 {
			t.Errorf("Check of %d bytes makes an error of %d", len(bad), len(err.Error()))
		}
	}
}

func TestCheckKey(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 63)
	tests := []struct {
		name   string
		key    *runwayv1.WorkloadKey
		domain string
		ok     bool
	}{
		{"good", key("default", "web", Production), "example.org", true},
		{"nil", nil, "example.org", false},
		{"no environment", key("default", "web", ""), "example.org", false},
		{"too long together", key(long, long, long), strings.Repeat("d", 63) + ".org", false},
	}
	for _, tt := range tests {
		if err := CheckKey(tt.key, tt.domain); tt.ok != (err == nil) {
			t.Errorf("%s: CheckKey = %v", tt.name, err)
		}
	}
}
