package networktest

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"testing"

	"github.com/runway-platform/runway/agent/network"
)

// Network is what the suite asks of an implementation.
type Network interface {
	Attach(ctx context.Context, replicaID string) (network.Attachment, error)
	Detach(ctx context.Context, replicaID string) error
	List(ctx context.Context) ([]network.Attachment, error)
	Publish(ctx context.Context, ports map[uint16]netip.AddrPort) error
	Published(ctx context.Context) (map[uint16]netip.AddrPort, error)
	Holders(ctx context.Context) (map[uint16]string, error)
}

// Conformance runs the suite against a started network with no replica, and leaves none.
func Conformance(t *testing.T, n Network) {
	t.Run("attach gives different addresses", func(t *testing.T) { attachTwo(t, n) })
	t.Run("attach and detach are idempotent", func(t *testing.T) { idempotent(t, n) })
	t.Run("attach refuses a bad ID", func(t *testing.T) {
		if _, err := n.Attach(t.Context(), ""); !errors.Is(err, network.ErrInvalid) {
			t.Errorf("got %v, want ErrInvalid", err)
		}
	})
	t.Run("publish replaces the whole set", func(t *testing.T) { publishReplaces(t, n) })
	t.Run("holders follow the published set", func(t *testing.T) { holdersFollow(t, n) })
	t.Run("publish refuses and keeps the old set", func(t *testing.T) { publishRefuses(t, n) })
}

func attachTwo(t *testing.T, n Network) {
	a, b := attach(t, n, "a"), attach(t, n, "b")
	if a.IP == b.IP || a.NetNSPath == b.NetNSPath {
		t.Errorf("got %+v and %+v, want nothing shared", a, b)
	}
	if a.Gateway != b.Gateway || !a.Gateway.IsValid() || a.Gateway == a.IP {
		t.Errorf("got gateways %s and %s, want one that is no replica's", a.Gateway, b.Gateway)
	}
	got, err := n.List(t.Context())
	if err != nil || len(got) != 2 || got[0] != a || got[1] != b {
		t.Errorf("list: got %+v, %v; want %+v and %+v", got, err, a, b)
	}
}

func idempotent(t *testing.T, n Network) {
	first := attach(t, n, "a")
	if again := attach(t, n, "a"); again != first {
		t.Errorf("attach again: got %+v, want %+v", again, first)
	}
	for range 2 {
		if err := n.Detach(t.Context(), "a"); err != nil {
			t.Fatalf("detach: %v", err)
		}
	}
	if got, err := n.List(t.Context()); err != nil || len(got) != 0 {
		t.Errorf("list after detach: got %+v, %v; want none", got, err)
	}
}

func publishReplaces(t *testing.T, n Network) {
	a := attach(t, n, "a")
	to := netip.AddrPortFrom(a.IP, 8080)
	for _, want := range []map[uint16]netip.AddrPort{{20000: to, 20001: to}, {20001: to, 20002: to}, {}} {
		if err := n.Publish(t.Context(), want); err != nil {
			t.Fatalf("publish %v: %v", want, err)
		}
		if got, err := n.Published(t.Context()); err != nil || !maps.Equal(got, want) {
			t.Errorf("published: got %v, %v; want %v", got, err, want)
		}
	}
}

func holdersFollow(t *testing.T, n Network) {
	a, b := attach(t, n, "a"), attach(t, n, "b")
	at := func(a network.Attachment) netip.AddrPort { return netip.AddrPortFrom(a.IP, 8080) }
	for _, step := range []struct {
		ports map[uint16]netip.AddrPort
		want  map[uint16]string
	}{
		{map[uint16]netip.AddrPort{20000: at(a), 20001: at(b)}, map[uint16]string{20000: "a", 20001: "b"}},
		{map[uint16]netip.AddrPort{20000: at(b)}, map[uint16]string{20000: "b"}},
		{map[uint16]netip.AddrPort{}, map[uint16]string{}},
	} {
		if err := n.Publish(t.Context(), step.ports); err != nil {
			t.Fatalf("publish %v: %v", step.ports, err)
		}
		if got, err := n.Holders(t.Context()); err != nil || !maps.Equal(got, step.want) {
			t.Errorf("holders with %v published: got %v, %v; want %v", step.ports, got, err, step.want)
		}
	}
}

func publishRefuses(t *testing.T, n Network) {
	a := attach(t, n, "a")
	want := map[uint16]netip.AddrPort{20000: netip.AddrPortFrom(a.IP, 8080)}
	if err := n.Publish(t.Context(), want); err != nil {
		t.Fatalf("publish: %v", err)
	}
	bad := []map[uint16]netip.AddrPort{
		{80: netip.AddrPortFrom(a.IP, 8080)},
		{20001: netip.AddrPortFrom(a.Gateway, 8080)},
		{20001: netip.AddrPortFrom(a.IP, 0)},
		{20001: netip.MustParseAddrPort("192.0.2.1:80")},
	}
	for _, ports := range bad {
		if err := n.Publish(t.Context(), ports); !errors.Is(err, network.ErrInvalid) {
			t.Errorf("publish %v: got %v, want ErrInvalid", ports, err)
		}
	}
	if got, err := n.Published(t.Context()); err != nil || !maps.Equal(got, want) {
		t.Errorf("published: got %v, %v; want %v", got, err, want)
	}
}

// attach gives back what it took when the test ends.
func attach(t *testing.T, n Network, replicaID string) network.Attachment {
	t.Helper()
	a, err := n.Attach(t.Context(), replicaID)
	if err != nil {
		t.Fatalf("attach %q: %v", replicaID, err)
	}
	t.Cleanup(func() {
		if err := n.Detach(context.WithoutCancel(t.Context()), replicaID); err != nil {
			t.Errorf("detach %q: %v", replicaID, err)
		}
	})
	return a
}
