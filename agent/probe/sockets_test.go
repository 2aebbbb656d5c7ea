package probe

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const tcpTable = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1
   1: 00000000:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2
   2: 0200000A:0BB8 0100000A:D431 01 00000000:00000000 00:00000000 00000000     0        0 3
`

const tcp6Table = `  sl  local_address rem_address   st
   0: 00000000000000000000000000000000:2382 00000000000000000000000000000000:0000 0A 0 0 0
   1: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 0 0 0
`

func procWith(t *testing.T, tables map[string]string) string {
	t.Helper()
	root := t.TempDir()
	folder := filepath.Join(root, "42", "net")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range tables {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestListening_ReadsBothTables(t *testing.T) {
	t.Parallel()
	got, err := Listening(procWith(t, map[string]string{"tcp": tcpTable, "tcp6": tcp6Table}), 42)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"0.0.0.0:3000", "127.0.0.1:8080", "[::]:9090", "[::1]:80"}
	var text []string
	for _, a := range got {
		text = append(text, a.String())
	}
	if diff := cmp.Diff(want, text); diff != "" {
		t.Errorf("listening (-want +got):\n%s", diff)
	}
	for port, want := range map[uint16]bool{3000: true, 8080: false, 9090: true, 80: false, 1: false} {
		if Reachable(got, port) != want {
			t.Errorf("port %d reachable: got %t, want %t", port, !want, want)
		}
	}
}

func TestListening_Failures(t *testing.T) {
	t.Parallel()
	if _, err := Listening(t.TempDir(), 42); err == nil {
		t.Error("no such process: want an error")
	}
	for _, line := range []string{"0: 0100007F 0:0 0A", "0: 01:1F90 0:0 0A", "0: 0100007F:XYZ 0:0 0A", "0: ZZ00007F:1F90 0:0 0A"} {
		if _, err := Listening(procWith(t, map[string]string{"tcp": line}), 42); err == nil {
			t.Errorf("line %q: want an error", line)
		}
	}
}

func TestListening_FindsAnOwnSocket(t *testing.T) {
	t.Parallel()
	listener := listen(t)
	defer listener.Close()
	got, err := Listening("/proc", os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	want := netip.MustParseAddrPort(listener.Addr().(*net.TCPAddr).String())
	if !slices.Contains(got, want) {
		t.Errorf("got %v, want %v among them", got, want)
	}
}

// Thousands of other sockets do not hide the one that matters.
func TestListening_ManySocketsHideNone(t *testing.T) {
	t.Parallel()
	table := tcpTable
	for i := range 3000 {
		table += fmt.Sprintf("  %2d: 0100007F:%04X 00000000:0000 0A 0 0 0\n", i, 20000+i)
	}
	table += "3001: 00000000:1F91 00000000:0000 0A 0 0 0\n"
	got, err := Listening(procWith(t, map[string]string{"tcp": table}), 42)
	if err != nil || !Reachable(got, 0x1F91) {
		t.Errorf("%d sockets, %v: want the last one among them", len(got), err)
	}
}
