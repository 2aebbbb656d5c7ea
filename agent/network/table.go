package network

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"strings"

	"github.com/google/nftables"
)

// elementsPerMessage keeps one netlink attribute far below its limit of 64 KiB; one element takes about 44 bytes.
const elementsPerMessage = 500

// elementSets are the maps and sets of the table that change.
var elementSets = []string{"published", "internal", "ingress"}

// load replaces the whole table by one script, with everything in want.
func (n *Network) load(ctx context.Context) error {
	script, err := renderRules(n.cfg, n.want)
	if err != nil {
		return err
	}
	if _, err := runNft(ctx, script, "-f", "-"); err != nil {
		return fmt.Errorf("load table %q: %w", n.cfg.table(), err)
	}
	n.listing, err = listTable(ctx, n.cfg.table())
	return err
}

// listTable returns the static part of a table as nft prints it, without counters and elements: equal texts are equal rules.
func listTable(ctx context.Context, table string) (string, error) {
	return runNft(ctx, "", "-s", "-t", "list", "table", "inet", table)
}

func runNft(ctx context.Context, stdin string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "nft", args...)
	cmd.Stdin = strings.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("nft %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

func deleteTable(name string) error {
	conn, err := nftables.New()
	if err != nil {
		return fmt.Errorf("open nftables: %w", err)
	}
	conn.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: name}) // so that deleting never fails for want of it
	conn.DelTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: name})
	if err := conn.Flush(); err != nil {
		return fmt.Errorf("delete table %q: %w", name, err)
	}
	return nil
}

// write makes the kernel's elements those of d, in one transaction, and remembers them. It writes differences only: the kernel
// commits an addition in 0.3 ms, and anything that removes, a flush too, only after a grace period of some 7 ms.
func (n *Network) write(d dynamic) error {
	if n.tornDown {
		return ErrUnguarded
	}
	now, err := readDynamic(n.cfg.table())
	if err != nil {
		return err
	}
	conn, err := nftables.New()
	if err != nil {
		return fmt.Errorf("open nftables: %w", err)
	}
	gone, added := now.minus(d).elements(), d.minus(now).elements()
	for _, name := range elementSets {
		set := setOf(n.cfg.table(), name)
		for part := range slices.Chunk(gone[name], elementsPerMessage) {
			err = errors.Join(err, conn.SetDeleteElements(set, part))
		}
		for part := range slices.Chunk(added[name], elementsPerMessage) {
			err = errors.Join(err, conn.SetAddElements(set, part))
		}
	}
	if err := errors.Join(err, conn.Flush()); err != nil {
		return fmt.Errorf("write elements of table %q: %w", n.cfg.table(), err)
	}
	n.want = d
	return nil
}

// readDynamic returns what the kernel holds; a table that is not there holds nothing.
func readDynamic(table string) (dynamic, error) {
	d := dynamic{
		published: make(map[uint16]netip.AddrPort),
		internal:  make(map[gatewayPort]netip.AddrPort),
		ingress:   make(map[netip.Addr]struct{}),
	}
	conn, err := nftables.New()
	if err != nil {
		return d, fmt.Errorf("open nftables: %w", err)
	}
	if there, err := hasTable(conn, table); err != nil || !there {
		return d, err
	}
	for _, name := range elementSets {
		elements, err := conn.GetSetElements(setOf(table, name))
		if err != nil {
			return d, fmt.Errorf("read %s of table %q: %w", name, table, err)
		}
		if err := d.decode(name, elements); err != nil {
			return d, fmt.Errorf("read %s of table %q: %w", name, table, err)
		}
	}
	return d, nil
}

// hasTable asks for all tables, since the library's error about a missing one carries no error number.
func hasTable(conn *nftables.Conn, name string) (bool, error) {
	tables, err := conn.ListTablesOfFamily(nftables.TableFamilyINet)
	if err != nil {
		return false, fmt.Errorf("list tables: %w", err)
	}
	return slices.ContainsFunc(tables, func(t *nftables.Table) bool { return t.Name == name }), nil
}

func setOf(table, name string) *nftables.Set {
	return &nftables.Set{
		Table: &nftables.Table{Family: nftables.TableFamilyINet, Name: table},
		Name:  name,
		IsMap: name != "ingress",
	}
}

// elements encodes d as the kernel wants it: numbers in network order, each part of a concatenation padded to 4 bytes.
func (d dynamic) elements() map[string][]nftables.SetElement {
	published := make([]nftables.SetElement, 0, len(d.published))
	for port, to := range d.published {
		published = append(published, nftables.SetElement{Key: binary.BigEndian.AppendUint16(nil, port), Val: encodeAddrPort(to)})
	}
	internal := make([]nftables.SetElement, 0, len(d.internal))
	for k, to := range d.internal {
		key := append([]byte{k.proto, 0, 0, 0}, byte(k.port>>8), byte(k.port), 0, 0)
		internal = append(internal, nftables.SetElement{Key: key, Val: encodeAddrPort(to)})
	}
	ingress := make([]nftables.SetElement, 0, len(d.ingress))
	for addr := range d.ingress {
		ingress = append(ingress, nftables.SetElement{Key: addr.AsSlice()})
	}
	return map[string][]nftables.SetElement{"published": published, "internal": internal, "ingress": ingress}
}

func encodeAddrPort(a netip.AddrPort) []byte {
	return append(a.Addr().AsSlice(), byte(a.Port()>>8), byte(a.Port()), 0, 0)
}

// decode is the inverse of elements. It refuses what is too short instead of guessing.
func (d dynamic) decode(name string, elements []nftables.SetElement) error {
	for _, e := range elements {
		switch {
		case name == "published" && len(e.Key) >= 2 && len(e.Val) >= 6:
			d.published[binary.BigEndian.Uint16(e.Key)] = decodeAddrPort(e.Val)
		case name == "internal" && len(e.Key) >= 6 && len(e.Val) >= 6:
			d.internal[gatewayPort{e.Key[0], binary.BigEndian.Uint16(e.Key[4:])}] = decodeAddrPort(e.Val)
		case name == "ingress" && len(e.Key) == 4:
			d.ingress[netip.AddrFrom4([4]byte(e.Key))] = struct{}{}
		default:
			return fmt.Errorf("decode element with key %x and value %x: %w", e.Key, e.Val, ErrInvalid)
		}
	}
	return nil
}

func decodeAddrPort(b []byte) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[:4])), binary.BigEndian.Uint16(b[4:6]))
}
