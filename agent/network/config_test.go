package network

import (
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNew_RefusesConfig(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(*Config)
		field string
	}{
		{"no node", func(c *Config) { c.Node = "" }, "Node"},
		{"node with upper case", func(c *Config) { c.Node = "EU-1" }, "Node"},
		{"long bridge", func(c *Config) { c.Bridge = "sixteen-letters1" }, "Bridge"},
		{"no subnet", func(c *Config) { c.Subnet = netip.Prefix{} }, "Subnet"},
		{"host bits", func(c *Config) { c.Subnet = netip.MustParsePrefix("10.64.3.1/24") }, "Subnet"},
		{"IPv6 subnet", func(c *Config) { c.Subnet = netip.MustParsePrefix("fd00::/64") }, "Subnet"},
		{"no room", func(c *Config) { c.Subnet = netip.MustParsePrefix("10.64.3.0/30") }, "Subnet"},
		{"subnet outside", func(c *Config) { c.ReplicaNetwork = netip.MustParsePrefix("10.65.0.0/16") }, "ReplicaNetwork"},
		{"loopback address", func(c *Config) { c.NodeAddress = netip.MustParseAddr("127.0.0.1") }, "NodeAddress"},
		{"ports turned", func(c *Config) { c.FirstPort, c.LastPort = 2, 1 }, "FirstPort"},
		{"identity on a node port", func(c *Config) { c.Identity = netip.AddrPortFrom(c.NodeAddress, c.FirstPort) }, "Identity"},
		{"identity on every address", func(c *Config) { c.Identity = netip.MustParseAddrPort("0.0.0.0:7444") }, "Identity"},
		{"identity over IPv6", func(c *Config) { c.Identity = netip.MustParseAddrPort("[fd00::7]:7444") }, "Identity"},
		{"tiny MTU", func(c *Config) { c.MTU = 68 }, "MTU"},
		{"relative path", func(c *Config) { c.StateDir = "state" }, "StateDir"},
		{"one folder for both", func(c *Config) { c.RunDir = c.StateDir }, "RunDir"},
		{"bad deny", func(c *Config) { c.DenyEgress = []netip.Prefix{{}} }, "DenyEgress"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			cfg := testConfig()
			test.spoil(&cfg)
			_, err := New(cfg, slog.New(slog.DiscardHandler))
			if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "config "+test.field) {
				t.Errorf("got %v, want ErrInvalid naming %s", err, test.field)
			}
		})
	}
}

func TestNew_FillsDefaults(t *testing.T) {
	n, err := New(Config{Node: "a", Subnet: netip.MustParsePrefix("10.64.1.0/24"), StateDir: "/s", RunDir: "/r"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if n.cfg.Bridge != "rw-a" || n.cfg.NodeAddress != n.cfg.Gateway() || n.cfg.ReplicaNetwork != n.cfg.Subnet || n.cfg.MTU != DefaultMTU {
		t.Errorf("got %+v", n.cfg)
	}
}

func TestBridgeName(t *testing.T) {
	tests := []struct{ node, want string }{
		{"n1", "rw-n1"},
		{"exactly-12-c", "rw-exactly-12-c"},
		{"worker-eu-west-0042", "rw-804feaa94303"},
	}
	for _, test := range tests {
		if got := BridgeName(test.node); got != test.want || len(got) > maxInterfaceName {
			t.Errorf("%s: got %q of %d, want %q", test.node, got, len(got), test.want)
		}
	}
}

func TestReservations_ReadsHostLocal(t *testing.T) {
	dir := t.TempDir()
	files := map[string]string{
		"10.64.1.2":          "replica-a\r\neth0", // as host-local writes it
		"10.64.1.3":          "replica-b\neth0",
		"last_reserved_ip.0": "10.64.1.3",
		"lock":               "",
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := reservations(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]netip.Addr{"replica-a": netip.MustParseAddr("10.64.1.2"), "replica-b": netip.MustParseAddr("10.64.1.3")}
	if len(got) != 2 || got["replica-a"] != want["replica-a"] || got["replica-b"] != want["replica-b"] {
		t.Errorf("got %v, want %v", got, want)
	}
	if got, err := reservations(filepath.Join(dir, "none")); err != nil || len(got) != 0 {
		t.Errorf("no folder: got %v, %v; want none", got, err)
	}
}

func TestValidateReplica(t *testing.T) {
	for _, id := range []string{"", ".", "..", "a/b", "../x", "-a", strings.Repeat("a", 64)} {
		if err := validateReplica(id); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: got %v, want ErrInvalid", id, err)
		}
	}
	if err := validateReplica("01JD9Z7Q3KX-web_1.a"); err != nil {
		t.Error(err)
	}
}

func TestFiles(t *testing.T) {
	resolv := ResolvConf(netip.MustParseAddr("10.64.1.1"))
	if diff := cmp.Diff("nameserver 10.64.1.1\noptions timeout:1 attempts:5\n", resolv); diff != "" {
		t.Errorf("resolv.conf (-want +got):\n%s", diff)
	}
	hosts := Hosts(netip.MustParseAddr("10.64.1.5"), "web-1")
	if diff := cmp.Diff("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost\n10.64.1.5\tweb-1\n", hosts); diff != "" {
		t.Errorf("hosts (-want +got):\n%s", diff)
	}
}
