package caddy

import (
	"flag"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write golden files")

func TestConfigJSON_Golden(t *testing.T) {
	t.Parallel()
	one := []net.Listener{nil}
	tests := []struct {
		name string
		cfg  Config
	}{
		{"all_listeners", Config{
			Listeners:      Listeners{HTTP: one, HTTPS: []net.Listener{nil, nil}, InternalHTTP: one},
			DataDir:        "/var/lib/runway/ingress/caddy",
			HTTPSPort:      443,
			TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
			DrainTimeout:   30 * time.Second,
		}},
		{"internal_only", Config{Listeners: Listeners{InternalHTTP: one}, DataDir: "/data", DrainTimeout: time.Second}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := configJSON(tt.cfg)
			if err != nil {
				t.Fatal(err)
			}
			path := "testdata/" + tt.name + ".json"
			if *update {
				if err := os.WriteFile(path, append(got, '\n'), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)+"\n"); diff != "" {
				t.Errorf("configuration (-want +got):\n%s", diff)
			}
		})
	}
}
