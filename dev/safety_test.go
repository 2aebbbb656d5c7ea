package dev

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestRemove_TouchesNothingThatItDidNotMake(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "precious")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := Remove(t.Context(), dir, "/bin/true", slog.Default())
	if err == nil || !strings.Contains(err.Error(), "nothing was removed") {
		t.Errorf("got %v, want a refusal", err)
	}
	if _, err := os.Stat(file); err != nil {
		t.Errorf("a file of somebody else is gone: %v", err)
	}
}

func TestMark_RefusesADirectoryWithOtherContents(t *testing.T) {
	c := valid(t)
	if err := os.WriteFile(c.path("precious"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := c.mark(); err == nil || !strings.Contains(err.Error(), "precious") {
		t.Errorf("got %v, want a refusal that names the file", err)
	}
	if err := os.Remove(c.path("precious")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := c.mark(); err != nil {
			t.Errorf("an empty directory, or our own: %v", err)
		}
	}
}

func TestWithoutSettings_KeepsEverythingElse(t *testing.T) {
	given := []string{"PATH=/bin", "RUNWAY_METRICS=x", "HOME=/root", "RUNWAY_DATA_DIR=y", "XRUNWAY_=z"}
	want := []string{"PATH=/bin", "HOME=/root", "XRUNWAY_=z"}
	if got := withoutSettings(given); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestSays_WantsTheLine(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/metrics" {
			w.Write([]byte("runway_agent_session_connected 0\n"))
			return
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer server.Close()
	address := server.Listener.Addr().String()
	if err := says(t.Context(), address, "/metrics", "runway_agent_session_connected 0"); err != nil {
		t.Errorf("the line is there: %v", err)
	}
	if err := says(t.Context(), address, "/metrics", "runway_agent_session_connected 1"); err == nil {
		t.Error("the line is not there, and nobody noticed")
	}
	if err := says(t.Context(), address, "/readyz", ""); err == nil {
		t.Error("503 was taken for ready")
	}
}
