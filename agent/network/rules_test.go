package network

import (
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/nftables"
	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write golden files anew")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func testConfig() Config {
	return Config{
		Node:           "eu-1",
		Subnet:         netip.MustParsePrefix("10.64.3.0/24"),
		ReplicaNetwork: netip.MustParsePrefix("10.64.0.0/16"),
		DenyEgress:     []netip.Prefix{netip.MustParsePrefix("10.0.5.0/24"), netip.MustParsePrefix("10.0.0.0/16")},
		NodeAddress:    netip.MustParseAddr("10.0.0.7"),
		Identity:       netip.MustParseAddrPort("10.0.0.7:7444"),
		StateDir:       "/var/lib/runway/eu-1/network",
		RunDir:         "/run/runway/eu-1/network",
	}.withDefaults()
}

func TestRenderRules_Golden(t *testing.T) {
	got, err := renderRules(testConfig(), dynamic{
		published: map[uint16]netip.AddrPort{
			20001: netip.MustParseAddrPort("10.64.3.3:8080"),
			20000: netip.MustParseAddrPort("10.64.3.2:80"),
		},
		internal: map[gatewayPort]netip.AddrPort{
			internalPorts[0]: netip.MustParseAddrPort("127.0.0.1:5353"),
			internalPorts[3]: netip.MustParseAddrPort("10.0.0.9:443"),
		},
		ingress: map[netip.Addr]struct{}{netip.MustParseAddr("10.0.0.9"): {}, netip.MustParseAddr("10.0.0.8"): {}},
	})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "rules.nft", got)
}

func TestRenderRules_GoldenEmpty(t *testing.T) {
	cfg := testConfig()
	cfg.DenyEgress = nil
	cfg.Identity = netip.AddrPort{}
	got, err := renderRules(cfg, dynamic{})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "rules_empty.nft", got)
}

func TestConfList_Golden(t *testing.T) {
	got, err := confList(testConfig())
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "runway.conflist", string(got))
}

// TestElements_RoundTrip: what is written to the kernel is what is read from it.
func TestElements_RoundTrip(t *testing.T) {
	addr := rapid.Custom(func(t *rapid.T) netip.Addr {
		return netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "addr")))
	})
	addrPort := rapid.Custom(func(t *rapid.T) netip.AddrPort {
		return netip.AddrPortFrom(addr.Draw(t, "ip"), rapid.Uint16().Draw(t, "port"))
	})
	rapid.Check(t, func(t *rapid.T) {
		want := dynamic{
			published: rapid.MapOf(rapid.Uint16(), addrPort).Draw(t, "published"),
			internal:  rapid.MapOf(rapid.SampledFrom(internalPorts), addrPort).Draw(t, "internal"),
			ingress:   rapid.MapOf(addr, rapid.Just(struct{}{})).Draw(t, "ingress"),
		}
		got := dynamic{map[uint16]netip.AddrPort{}, map[gatewayPort]netip.AddrPort{}, map[netip.Addr]struct{}{}}
		for name, elements := range want.elements() {
			if err := got.decode(name, elements); err != nil {
				t.Fatal(err)
			}
		}
		if !got.equal(want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

func TestDecode_RefusesShortElements(t *testing.T) {
	empty := func() dynamic {
		return dynamic{map[uint16]netip.AddrPort{}, map[gatewayPort]netip.AddrPort{}, map[netip.Addr]struct{}{}}
	}
	for _, name := range []string{"published", "internal", "ingress"} {
		for length := range 2 {
			element := nftables.SetElement{Key: make([]byte, length), Val: make([]byte, 3)}
			if err := empty().decode(name, []nftables.SetElement{element}); err == nil {
				t.Errorf("decode %s with a key of %d bytes: got no error", name, length)
			}
		}
	}
}

func TestDisjoint(t *testing.T) {
	parse := func(texts ...string) []netip.Prefix {
		var prefixes []netip.Prefix
		for _, text := range texts {
			prefixes = append(prefixes, netip.MustParsePrefix(text))
		}
		return prefixes
	}
	tests := []struct {
		name     string
		in, want []netip.Prefix
	}{
		{"empty", nil, nil},
		{"contained", parse("10.1.2.0/24", "10.1.0.0/16"), parse("10.1.0.0/16")},
		{"twice", parse("10.1.0.0/16", "10.1.0.0/16"), parse("10.1.0.0/16")},
		{"apart", parse("10.2.0.0/16", "10.1.0.0/16"), parse("10.1.0.0/16", "10.2.0.0/16")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(joinPrefixes(test.want), joinPrefixes(disjoint(test.in))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestRemoved(t *testing.T) {
	got := removed(map[string]int{"kept": 1, "moved": 2, "gone": 3}, map[string]int{"kept": 1, "moved": 9, "new": 4})
	if diff := cmp.Diff(map[string]int{"moved": 2, "gone": 3}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
