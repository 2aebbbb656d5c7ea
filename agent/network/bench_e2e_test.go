//go:build e2e

package network_test

import (
	"flag"
	"fmt"
	"net/netip"
	"sync"
	"testing"

	gocni "github.com/containerd/go-cni"
)

func benchTime() string { return flag.Lookup("test.benchtime").Value.String() }

// BenchmarkAttach measures what the network adds to the start of a replica. Detach is not counted.
func BenchmarkAttach(b *testing.B) {
	if !inMachine(b) {
		return
	}
	n := start(b, config(b, "n1", 1))
	i := 0
	for b.Loop() {
		id := fmt.Sprintf("r%d", i)
		attach(b, n, id)
		b.StopTimer()
		must(b, n.Detach(b.Context(), id))
		b.StartTimer()
		i++
	}
}

// BenchmarkAttach40 attaches 40 replicas at once, as a scale-up does.
func BenchmarkAttach40(b *testing.B) {
	if !inMachine(b) {
		return
	}
	n := start(b, config(b, "n1", 1))
	for b.Loop() {
		var wg sync.WaitGroup
		for i := range 40 {
			wg.Go(func() { attach(b, n, fmt.Sprintf("r%d", i)) })
		}
		wg.Wait()
		b.StopTimer()
		for i := range 40 {
			must(b, n.Detach(b.Context(), fmt.Sprintf("r%d", i)))
		}
		b.StartTimer()
	}
}

// BenchmarkCheck is what the agent does every 5 s, with 40 replicas.
func BenchmarkCheck(b *testing.B) {
	if !inMachine(b) {
		return
	}
	n := start(b, config(b, "n1", 1))
	for i := range 40 {
		attach(b, n, fmt.Sprintf("r%d", i))
	}
	for b.Loop() {
		_, err := n.Check(b.Context())
		must(b, err)
	}
}

// portsOf publishes count replicas from 20000 on, the first of them with the given last byte.
func portsOf(count int, first byte) map[uint16]netip.AddrPort {
	ports := make(map[uint16]netip.AddrPort)
	for i := range count {
		ports[20000+uint16(i)] = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 64, 1, byte(i + 2)}), 8080)
	}
	ports[20000] = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 64, 1, first}), 8080)
	return ports
}

// BenchmarkPublish_Add publishes one more port beside 40 others.
func BenchmarkPublish_Add(b *testing.B) {
	if !inMachine(b) {
		return
	}
	n := start(b, config(b, "n1", 1))
	for b.Loop() {
		b.StopTimer()
		must(b, n.Publish(b.Context(), portsOf(40, 2)))
		b.StartTimer()
		must(b, n.Publish(b.Context(), portsOf(41, 2)))
	}
}

// BenchmarkPublish_Move leads one of 40 ports to another replica and cuts its connections.
func BenchmarkPublish_Move(b *testing.B) {
	if !inMachine(b) {
		return
	}
	n := start(b, config(b, "n1", 1))
	first := byte(100)
	for b.Loop() {
		first ^= 1
		must(b, n.Publish(b.Context(), portsOf(40, first)))
	}
}

// customaryPlugins is what containerd's and nerdctl's own networks run for each container.
const customaryPlugins = `{"cniVersion": "1.0.0", "name": "customary", "plugins": [
	{"type": "bridge", "bridge": "cust0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
	 "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.66.0.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
	{"type": "firewall", "ingressPolicy": "same-bridge"}]}`

// BenchmarkAttach_CustomaryPlugins is the floor that BenchmarkAttach is held against: go-cni with loopback, bridge, host-local
// and firewall, in the same machine and run.
func BenchmarkAttach_CustomaryPlugins(b *testing.B) {
	if !inMachine(b) {
		return
	}
	sh(b, "mkdir -p /var/lib/cni && mount -t tmpfs none /var/lib/cni")
	lib, err := gocni.New(gocni.WithPluginDir([]string{"/usr/lib/cni", "/opt/cni/bin"}), gocni.WithInterfacePrefix("eth"))
	must(b, err)
	must(b, lib.Load(gocni.WithLoNetwork, gocni.WithConfListBytes([]byte(customaryPlugins))))
	i := 0
	for b.Loop() {
		name := fmt.Sprintf("c%d", i)
		sh(b, "ip netns add %s", name) // a process of 2 ms, in place of our 1.5 ms in this process
		_, err := lib.Setup(b.Context(), name, "/run/netns/"+name)
		must(b, err)
		b.StopTimer()
		must(b, lib.Remove(b.Context(), name, "/run/netns/"+name))
		sh(b, "ip netns del %s", name)
		b.StartTimer()
		i++
	}
}
