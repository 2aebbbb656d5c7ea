package main

import (
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Streams and slow requests are there when they are asked for, at each ingress.
func TestOptions_Groups(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(nil)
	server.Close()
	ca := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	paced := map[string]int{"i1 plain keep-alive": 8, "i1 plain new": 8, "i1 tls keep-alive": 8, "i1 tls new": 8}
	for _, test := range []struct {
		name          string
		streams, slow int
		want          map[string]int
	}{
		{"neither", 0, 0, map[string]int{}},
		{"streams", 2, 0, map[string]int{"i1 tls events": 2, "i1 tls websocket": 2}},
		{"slow requests", 0, 3, map[string]int{"i1 tls slow keep-alive": 3, "i1 plain slow new": 3}},
		{"both", 2, 3, map[string]int{"i1 tls events": 2, "i1 tls websocket": 2, "i1 tls slow keep-alive": 3, "i1 plain slow new": 3}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			groups, err := options{edges: "i1=10.0.0.1", ca: ca, workers: 8, rate: 100, streams: test.streams, slow: test.slow}.groups()
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]int{}
			for _, g := range groups {
				if _, isPaced := paced[g.name]; isPaced == g.counts.unpaced {
					t.Errorf("%s: unpaced is %t", g.name, g.counts.unpaced)
				}
				got[g.name] = g.workers
			}
			for name, workers := range paced {
				test.want[name] = workers
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("clients of each group (-want +got):\n%s", diff)
			}
		})
	}
}
