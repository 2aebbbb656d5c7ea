package network

import (
	"fmt"
	"net/netip"
)

// ResolvConf returns the text of a replica's /etc/resolv.conf: the gateway is its only name server. An answer crosses one
// bridge, or the private network once, so a lost packet is asked for again after 1 s and not after the customary 5 s.
func ResolvConf(gateway netip.Addr) string {
	return fmt.Sprintf("nameserver %s\noptions timeout:1 attempts:5\n", gateway)
}

// Hosts returns the text of a replica's /etc/hosts, which names itself only.
func Hosts(ip netip.Addr, hostname string) string {
	return fmt.Sprintf("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost\n%s\t%s\n", ip, hostname)
}
