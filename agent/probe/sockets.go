package probe

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// stateListen is TCP_LISTEN as /proc/net/tcp prints it.
const stateListen = "0A"

// Listening returns the TCP addresses that are listened on in the network namespace of process pid, sorted. procRoot is
// /proc but for tests.
func Listening(procRoot string, pid int) ([]netip.AddrPort, error) {
	var found []netip.AddrPort
	for _, table := range []string{"tcp", "tcp6"} {
		path := filepath.Join(procRoot, strconv.Itoa(pid), "net", table)
		addresses, err := listeningIn(path)
		if errors.Is(err, os.ErrNotExist) && table == "tcp6" {
			continue // a kernel without IPv6
		}
		if err != nil {
			return nil, err
		}
		found = append(found, addresses...)
	}
	slices.SortFunc(found, netip.AddrPort.Compare)
	return slices.Compact(found), nil
}

// Reachable reports whether one of the addresses accepts connections to port from outside the namespace: loopback does not.
func Reachable(listening []netip.AddrPort, port uint16) bool {
	return slices.ContainsFunc(listening, func(a netip.AddrPort) bool {
		return a.Port() == port && !a.Addr().Unmap().IsLoopback()
	})
}

func listeningIn(path string) ([]netip.AddrPort, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read sockets: %w", err)
	}
	defer file.Close()
	var found []netip.AddrPort
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || fields[3] != stateListen {
			continue
		}
		address, err := parseSocket(fields[1])
		if err != nil {
			return nil, fmt.Errorf("read sockets %q: %w", path, err)
		}
		found = append(found, address)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read sockets %q: %w", path, err)
	}
	return found, nil
}

// parseSocket reads "0100007F:1F90": the address in groups of four bytes, each little-endian, then the port.
func parseSocket(text string) (netip.AddrPort, error) {
	host, port, found := strings.Cut(text, ":")
	raw, err := hex.DecodeString(host)
	if err != nil || !found || len(raw)%4 != 0 {
		return netip.AddrPort{}, fmt.Errorf("parse address %q", text)
	}
	for group := range slices.Chunk(raw, 4) {
		slices.Reverse(group)
	}
	number, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("parse port %q: %w", text, err)
	}
	address, ok := netip.AddrFromSlice(raw)
	if !ok {
		return netip.AddrPort{}, fmt.Errorf("parse address %q: %d bytes", text, len(raw))
	}
	return netip.AddrPortFrom(address.Unmap(), uint16(number)), nil
}
