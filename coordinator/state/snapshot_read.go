package state

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"

	"github.com/hashicorp/go-memdb"
	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/proto"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// Errors of Load.
var (
	// ErrSnapshotCorrupt: the file is truncated, damaged, or no snapshot at all.
	ErrSnapshotCorrupt = errors.New("snapshot is damaged")
	// ErrSnapshotFormat: a newer version wrote it.
	ErrSnapshotFormat = errors.New("snapshot has an unknown format")
)

// maxRecord bounds one record, so that a damaged length cannot exhaust memory.
// The largest object is a revision, whose spec is limited far below it.
const maxRecord = 4 << 20

// Load replaces the whole state by a snapshot. It reads and checks everything
// first: after an error the state is as before.
func (s *Store) Load(r io.Reader) error {
	s.write.Lock()
	defer s.write.Unlock()

	content := &loader{db: newDatabase(), counts: map[Table]int{}, in: newSnapshotReader(r)}
	if err := content.load(); err != nil {
		return fmt.Errorf("load snapshot: %w", err)
	}
	s.replace(content.db, content.header.GetIndex(), content.counts)
	return nil
}

// loader builds a new content beside the present one.
type loader struct {
	db     *memdb.MemDB
	counts map[Table]int
	in     *snapshotReader
	header runwayv1.SnapshotHeader
}

func (l *loader) load() error {
	if err := l.in.read(&l.header); err != nil {
		return err
	}
	if format := l.header.GetFormat(); format != snapshotFormat {
		return fmt.Errorf("format %d: %w", format, ErrSnapshotFormat)
	}
	txn := l.db.Txn(true)
	defer txn.Abort()
	if err := l.objects(txn); err != nil {
		return err
	}
	if err := l.checkCounts(); err != nil {
		return err
	}
	txn.Commit()
	return nil
}

// objects reads records up to the checksum, which must be the end of the file.
func (l *loader) objects(txn *memdb.Txn) error {
	for {
		sum := l.in.sum.Sum32()
		var record runwayv1.SnapshotRecord
		if err := l.in.read(&record); err != nil {
			return err
		}
		if record.GetTable() == "" {
			return l.in.end(sum, &record)
		}
		if err := l.insert(txn, &record); err != nil {
			return err
		}
	}
}

func (l *loader) insert(txn *memdb.Txn, record *runwayv1.SnapshotRecord) error {
	name := Table(record.GetTable())
	t := tableNamed(name)
	if t == nil {
		return fmt.Errorf("table %q: %w", name, ErrSnapshotFormat)
	}
	object := t.empty()
	if err := proto.Unmarshal(record.GetObject(), object); err != nil {
		return fmt.Errorf("object in table %q: %w: %w", name, ErrSnapshotCorrupt, err)
	}
	if err := txn.Insert(string(name), object); err != nil {
		return fmt.Errorf("object in table %q: %w: %w", name, ErrSnapshotCorrupt, err)
	}
	l.counts[name]++
	return nil
}

func (l *loader) checkCounts() error {
	for _, t := range l.header.GetTables() {
		if got := l.counts[Table(t.GetName())]; uint64(got) != t.GetRecords() {
			return fmt.Errorf("table %q has %d of %d objects: %w", t.GetName(), got, t.GetRecords(), ErrSnapshotCorrupt)
		}
	}
	return nil
}

// snapshotReader takes records apart and sums up their bytes.
type snapshotReader struct {
	in  *bufio.Reader
	sum hash.Hash32
}

func newSnapshotReader(r io.Reader) *snapshotReader {
	return &snapshotReader{in: bufio.NewReader(r), sum: crc32.New(castagnoli)}
}

func (r *snapshotReader) read(record proto.Message) error {
	err := protodelim.UnmarshalOptions{MaxSize: maxRecord}.UnmarshalFrom(r, record)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSnapshotCorrupt, err)
	}
	return nil
}

// end checks the last record against the sum of all before it. The record itself
// must be what Save writes: its length and number have other encodings too.
func (r *snapshotReader) end(sum uint32, last *runwayv1.SnapshotRecord) error {
	if sum != last.GetCrc() {
		return fmt.Errorf("checksum %08x, want %08x: %w", sum, last.GetCrc(), ErrSnapshotCorrupt)
	}
	var written bytes.Buffer
	if _, err := protodelim.MarshalTo(&written, &runwayv1.SnapshotRecord{Crc: sum}); err != nil {
		return fmt.Errorf("encode last record: %w", err)
	}
	if r.sum.Sum32() != crc32.Update(sum, castagnoli, written.Bytes()) {
		return fmt.Errorf("last record is not as it was written: %w", ErrSnapshotCorrupt)
	}
	if _, err := r.in.ReadByte(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("bytes after the checksum: %w", ErrSnapshotCorrupt)
	}
	return nil
}

// Read implements protodelim.Reader.
func (r *snapshotReader) Read(p []byte) (int, error) {
	n, err := r.in.Read(p)
	r.sum.Write(p[:n])
	return n, err
}

// ReadByte implements protodelim.Reader.
func (r *snapshotReader) ReadByte() (byte, error) {
	b, err := r.in.ReadByte()
	if err == nil {
		r.sum.Write([]byte{b})
	}
	return b, err
}
