package ingress

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/atomicfile"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// A file with a set is: 8 bytes of magic with the version of the format, the
// CRC-32C of the rest as 4 bytes, big endian, and the encoded RouteSet.
const (
	magic  = "RWROUTE1"
	header = len(magic) + 4
)

// errDamaged means that a file is not what was written.
var errDamaged = errors.New("file is damaged")

func writeSet(path string, set *runwayv1.RouteSet) error {
	body, err := proto.Marshal(set)
	if err != nil {
		return fmt.Errorf("encode routes of generation %d: %w", set.GetGeneration(), err)
	}
	content := make([]byte, 0, header+len(body))
	content = append(content, magic...)
	content = binary.BigEndian.AppendUint32(content, checksum(body))
	return atomicfile.Write(path, append(content, body...), 0o600)
}

// readSet returns the set in a file and when it was written.
func readSet(path string) (*runwayv1.RouteSet, time.Time, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("read routes: %w", err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("read routes: %w", err)
	}
	set, err := decodeSet(path, content)
	return set, info.ModTime(), err
}

func decodeSet(path string, content []byte) (*runwayv1.RouteSet, error) {
	if len(content) < header || !bytes.HasPrefix(content, []byte(magic)) {
		return nil, fmt.Errorf("read routes %q: %w", path, errDamaged)
	}
	body := content[header:]
	if binary.BigEndian.Uint32(content[len(magic):]) != checksum(body) {
		return nil, fmt.Errorf("check routes %q: %w", path, errDamaged)
	}
	set := new(runwayv1.RouteSet)
	if err := proto.Unmarshal(body, set); err != nil {
		return nil, fmt.Errorf("decode routes %q: %w", path, err)
	}
	return set, nil
}

func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }
