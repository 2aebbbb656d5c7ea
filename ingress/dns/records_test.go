package dns

import (
	"math"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/runway-platform/runway/ingress/route"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

func TestBuild_WithoutDomainIsNil(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]*runwayv1.RouteSet{
		"nil": nil, "empty": {}, "odd domain": {Domain: "no domain", Generation: 3}, "address": {Domain: "192.0.2.1"},
	} {
		if got := Build(set); got != nil {
			t.Errorf("%s: got records", name)
		}
	}
}

func TestBuild_LeavesItsArgumentAlone(t *testing.T) {
	t.Parallel()
	set := example()
	Build(set)
	if diff := cmp.Diff(true, proto.Equal(set, example())); diff != "" {
		t.Error("the set was changed")
	}
}

func TestBuild_OddPartsAreLeftOutAndTold(t *testing.T) {
	t.Parallel()
	set := example()
	set.Routes[0].Hosts = append(set.Routes[0].Hosts, "other.example.com", "no host", "runway.localhost", "HELLO.default.runway.localhost.")
	set.Routes[0].InternalHosts = append(set.Routes[0].InternalHosts, "hello.default.runway.localhost")
	set.Ingresses[0].PublicAddresses = append(set.Ingresses[0].PublicAddresses, "nowhere", "0.0.0.0", "::ffff:192.0.2.1")
	set.Ingresses[1].HttpsPort = 70000
	set.Networks = append(set.Networks,
		&runwayv1.NodeNetwork{Node: "n3", NodeAddress: "10.0.0.3", Subnet: "10.88.3.0/24", Gateway: "?"},
		&runwayv1.NodeNetwork{Node: "n4", NodeAddress: "?", Subnet: "?", Gateway: "10.88.4.1"})
	got := Build(set)
	want := []string{
		`name "other.example.com" does not belong into zone "runway.localhost."`,
		`name "no host" does not belong into zone "runway.localhost."`,
		`name "runway.localhost" does not belong into zone "runway.localhost."`,
		`name "hello.default.runway.localhost" does not belong into zone "internal."`,
		`ingress "a" has the odd address "nowhere"`,
		`ingress "a" has the odd address "0.0.0.0"`,
		`ingress "b" has the odd HTTPS port 70000`,
		`node "n3" has the odd gateway "?"`,
		`node "n4" has the odd subnet "?"`,
		`node "n4" has the odd address "?"`,
	}
	if diff := cmp.Diff(want, got.problems); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
	clean := Build(example())
	clean.public.ports = []uint16{443}
	same := cmp.AllowUnexported(Records{}, zone{})
	addresses := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
	ignored := cmp.FilterPath(func(p cmp.Path) bool { return p.String() == "problems" || p.String() == "networks" }, cmp.Ignore())
	if diff := cmp.Diff(clean, got, same, addresses, ignored); diff != "" {
		t.Errorf("records (-clean +got):\n%s", diff)
	}
}

func TestBuild_SerialIsTheGeneration(t *testing.T) {
	t.Parallel()
	set := example()
	set.Generation = math.MaxUint32 + 5
	got := Build(set)
	if got.generation != math.MaxUint32+5 || got.serial() != 4 {
		t.Errorf("got generation %d, serial %d", got.generation, got.serial())
	}
}

// A public domain inside of internal keeps its names; the rest is internal.
func TestRecords_ZoneOfPrefersPublic(t *testing.T) {
	t.Parallel()
	r := Build(&runwayv1.RouteSet{Domain: "runway.internal"})
	if z := r.zoneOf(route.Internal, "a.runway.internal."); z != r.public {
		t.Error("a name of the public domain was taken for internal")
	}
	if z := r.zoneOf(route.Internal, "a.b.internal."); z != r.internal {
		t.Error("an internal name was not found")
	}
	if z := r.zoneOf(route.Public, "a.b.internal."); z != nil {
		t.Error("an internal name was found on the public listener")
	}
}

func TestNetworks_SharedAddressGoesToTheSmallerName(t *testing.T) {
	t.Parallel()
	n := newNetworks([]*runwayv1.NodeNetwork{
		{Node: "b", NodeAddress: "10.0.0.1", Subnet: "10.88.2.0/24", Gateway: "10.88.2.1"},
		{Node: "a", NodeAddress: "10.0.0.1", Subnet: "10.88.1.0/24", Gateway: "10.88.1.1"},
	}, t.Errorf)
	if got := n.asker(addr("10.0.0.1")); got.gateway != addr("10.88.1.1") {
		t.Errorf("got gateway %s", got.gateway)
	}
}

func TestNetworks_SmallestSubnetWins(t *testing.T) {
	t.Parallel()
	n := newNetworks([]*runwayv1.NodeNetwork{
		{Node: "wide", NodeAddress: "10.0.0.1", Subnet: "10.0.0.0/8", Gateway: "10.0.0.254"},
		{Node: "narrow", NodeAddress: "10.0.0.2", Subnet: "10.88.1.0/24", Gateway: "10.88.1.1"},
		{Node: "six", NodeAddress: "fd00::2", Subnet: "fd00:1::/64", Gateway: "fd00:1::1"},
	}, t.Errorf)
	for from, want := range map[string]string{"10.88.1.9": "10.88.1.1", "10.9.9.9": "10.0.0.254", "fd00:1::77": "fd00:1::1", "fd00::2": "fd00:1::1"} {
		if got := n.asker(addr(from)); !got.known || got.gateway != addr(want) {
			t.Errorf("from %s: got %+v, want gateway %s", from, got, want)
		}
	}
	if got := n.asker(addr("fd00:2::1")); got.known {
		t.Errorf("an address outside of all networks is known: %+v", got)
	}
}

// The names that exist are exactly the hosts, what is between them and the apex,
// the apex, the name server, and the services of hosts.
func TestZone_KindsProperty(t *testing.T) {
	t.Parallel()
	label := rapid.SampledFrom([]string{"a", "b", "ns1", "c"})
	rapid.Check(t, func(t *rapid.T) {
		z := newZone("d.e.", "_https.")
		hosts, parents := map[string]bool{}, map[string]bool{"d.e.": true}
		for range rapid.IntRange(0, 6).Draw(t, "hosts") {
			name := "d.e."
			for range rapid.IntRange(1, 4).Draw(t, "labels") {
				parents[name] = true
				name = label.Draw(t, "label") + "." + name
			}
			if name != "ns1.d.e." {
				hosts[name] = true
			}
			z.add(name)
		}
		asked := "d.e."
		for range rapid.IntRange(0, 4).Draw(t, "asked labels") {
			asked = label.Draw(t, "asked label") + "." + asked
		}
		want := absentName
		switch {
		case asked == "d.e.":
			want = apexName
		case asked == "ns1.d.e.":
			want = serverName
		case hosts[asked]:
			want = hostName
		case parents[asked]:
			want = betweenName
		}
		if got := z.kind(asked); got != want {
			t.Fatalf("kind of %q: got %d, want %d", asked, got, want)
		}
		if got, want := z.kind("_https._tcp."+asked) == serviceName, hosts[asked]; got != want {
			t.Fatalf("service of %q: got %v, want %v", asked, got, want)
		}
	})
}
