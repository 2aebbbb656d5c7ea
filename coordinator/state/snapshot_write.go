package state

import (
	"bufio"
	"fmt"
	"hash"
	"hash/crc32"
	"io"

	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/proto"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// snapshotFormat is the only format there is. A later one must still read it.
const snapshotFormat = 1

// castagnoli is the polynomial with hardware support (CRC-32C).
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Save writes the view as length-delimited records: a header, the objects table by
// table in the order of their keys, and a checksum of all that. The same state
// gives the same bytes.
func (v *View) Save(w io.Writer) error {
	out := newSnapshotWriter(w)
	if err := out.write(v.header()); err != nil {
		return fmt.Errorf("write snapshot header: %w", err)
	}
	for _, t := range tables {
		if err := v.saveTable(out, t.named()); err != nil {
			return fmt.Errorf("write snapshot table %q: %w", t.named(), err)
		}
	}
	if err := out.finish(); err != nil {
		return fmt.Errorf("write snapshot checksum: %w", err)
	}
	return nil
}

func (v *View) header() *runwayv1.SnapshotHeader {
	header := &runwayv1.SnapshotHeader{
		Format:  snapshotFormat,
		Cluster: v.Cluster().GetId(),
		Index:   v.index,
	}
	for _, name := range Tables() {
		header.Tables = append(header.Tables, &runwayv1.SnapshotTable{
			Name:    string(name),
			Records: uint64(v.counts[name]),
		})
	}
	return header
}

func (v *View) saveTable(out *snapshotWriter, name Table) error {
	for object := range each[Object](v.txn.Get(string(name), primary)) {
		raw, err := marshal.Marshal(object)
		if err != nil {
			return err
		}
		if err := out.write(&runwayv1.SnapshotRecord{Table: string(name), Object: raw}); err != nil {
			return err
		}
	}
	return nil
}

// marshal sorts map entries, so that equal objects have equal bytes.
var marshal = proto.MarshalOptions{Deterministic: true}

// snapshotWriter frames records and sums up their bytes.
type snapshotWriter struct {
	out *bufio.Writer
	sum hash.Hash32
}

func newSnapshotWriter(w io.Writer) *snapshotWriter {
	return &snapshotWriter{out: bufio.NewWriter(w), sum: crc32.New(castagnoli)}
}

func (w *snapshotWriter) write(record proto.Message) error {
	options := protodelim.MarshalOptions{MarshalOptions: marshal}
	_, err := options.MarshalTo(io.MultiWriter(w.out, w.sum), record)
	return err
}

// finish writes the last record, which names no table.
func (w *snapshotWriter) finish() error {
	if err := w.write(&runwayv1.SnapshotRecord{Crc: w.sum.Sum32()}); err != nil {
		return err
	}
	return w.out.Flush()
}
