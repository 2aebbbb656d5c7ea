package main

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Profiles are given to who is logged in to the machine, over whichever of its
// addresses, and to nobody else, whatever a request says of itself.
func TestProfiles_AreForThisMachineOnly(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		remote, local string
		want          int
	}{
		{"127.0.0.1:40000", "127.0.0.1:9464", http.StatusOK},
		{"[::1]:40000", "[::1]:9464", http.StatusOK},
		{"[::ffff:127.0.0.1]:40000", "127.0.0.1:9464", http.StatusOK},
		{"10.0.0.1:40000", "10.0.0.1:9464", http.StatusOK},
		{"10.0.0.2:40000", "10.0.0.1:9464", http.StatusForbidden},
		{"10.64.1.5:40000", "10.0.0.1:9464", http.StatusForbidden},
		{"", "10.0.0.1:9464", http.StatusForbidden},
		{"10.0.0.2:40000", "", http.StatusForbidden},
	} {
		for _, path := range []string{"", "heap", "goroutine?debug=1", "profile?seconds=0", "trace?seconds=0"} {
			request := httptest.NewRequest(http.MethodGet, profilesPath+path, nil)
			request.Header.Set("X-Forwarded-For", "127.0.0.1")
			request.RemoteAddr = tt.remote
			if local, err := net.ResolveTCPAddr("tcp", tt.local); err == nil && tt.local != "" {
				request = request.WithContext(context.WithValue(request.Context(), http.LocalAddrContextKey, local))
			}
			if tt.want == http.StatusOK && strings.HasPrefix(path, "profile") {
				continue // a profile of the processor takes a second at least
			}
			answer := httptest.NewRecorder()
			profiles().ServeHTTP(answer, request)
			if answer.Code != tt.want {
				t.Errorf("%s from %q to %q: %d, want %d", path, tt.remote, tt.local, answer.Code, tt.want)
			}
			if refused := answer.Code == http.StatusForbidden; refused != strings.Contains(answer.Body.String(), "logged in to this machine") {
				t.Errorf("%s from %q to %q: the answer does not say who may ask: %.80q", path, tt.remote, tt.local, answer.Body)
			}
		}
	}
}

// The port of a process answers both, and nothing else.
func TestObserved_ServesMetricsAndProfiles(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(newObserved().handler())
	defer server.Close()
	for path, want := range map[string]int{"/metrics": 200, profilesPath + "heap": 200, "/": 404, "/debug": 404} {
		answer, err := server.Client().Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, answer.StatusCode, want)
		}
	}
}
