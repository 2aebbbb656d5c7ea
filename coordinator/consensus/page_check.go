package consensus

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"slices"
)

// The file format of bbolt, version 2, as far as damage in it is not found by our
// own checksums: what holds the pages together. bbolt itself trusts it, and
// panics in a goroutine of its own when that was a mistake.
const (
	pageHeader    = 16
	pageElement   = 16
	bucketHeader  = 16
	metaSize      = 64
	metaMagic     = 0xED0CDAED
	metaVersion   = 2
	branchPage    = 0x01
	leafPage      = 0x02
	metaPage      = 0x04
	bucketElement = 0x01
	// minPage and maxPage bound what a damaged file can make us allocate.
	minPage = 1 << 9
	maxPage = 1 << 16
)

// errPage: a page is not what the one above it says.
var errPage = errors.New("damaged page")

// buckets are all that the file of raft-boltdb consists of.
var buckets = []string{"conf", "logs"}

// pageCheck walks the tree of pages of a file. Keys and values are not looked at:
// their checksums are.
type pageCheck struct {
	file     *os.File
	pageSize uint64
	// end is the first page number that was never used.
	end  uint64
	seen map[uint64]bool
	// names are those of the buckets found at the top.
	names []string
}

// checkPages returns an error that wraps errPage when the structure of the file at
// path is not sound.
func checkPages(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("check pages: %w", err)
	}
	check := &pageCheck{file: file, seen: map[uint64]bool{}}
	return errors.Join(check.run(), file.Close())
}

func (c *pageCheck) run() error {
	root, err := c.metas()
	if err != nil {
		return err
	}
	if err := c.size(); err != nil {
		return err
	}
	if err := c.page(root, c.topBucket); err != nil {
		return err
	}
	if !slices.Equal(c.names, buckets) {
		return fmt.Errorf("buckets %q, want %q: %w", c.names, buckets, errPage)
	}
	return nil
}

// metas reads the two pages that say where the tree begins. They are written in
// turn: with a damaged one, bbolt would silently go back by one commit.
func (c *pageCheck) metas() (root uint64, err error) {
	first := make([]byte, pageHeader+metaSize)
	if _, err := c.file.ReadAt(first, 0); err != nil {
		return 0, fmt.Errorf("first meta page: %w: %w", errPage, err)
	}
	c.pageSize = uint64(binary.LittleEndian.Uint32(first[pageHeader+8:]))
	if c.pageSize < minPage || c.pageSize > maxPage {
		return 0, fmt.Errorf("page size %d: %w", c.pageSize, errPage)
	}
	second := make([]byte, pageHeader+metaSize)
	if _, err := c.file.ReadAt(second, int64(c.pageSize)); err != nil {
		return 0, fmt.Errorf("second meta page: %w: %w", errPage, err)
	}
	if err := errors.Join(checkMeta(first, 0), checkMeta(second, 1)); err != nil {
		return 0, err
	}
	newest := first[pageHeader:]
	if transaction(second) > transaction(first) {
		newest = second[pageHeader:]
	}
	c.end = binary.LittleEndian.Uint64(newest[40:])
	return binary.LittleEndian.Uint64(newest[16:]), nil
}

func transaction(page []byte) uint64 { return binary.LittleEndian.Uint64(page[pageHeader+48:]) }

func checkMeta(page []byte, number uint64) error {
	meta := page[pageHeader:]
	sum := fnv.New64a()
	sum.Write(meta[:56])
	if binary.LittleEndian.Uint64(page) != number ||
		binary.LittleEndian.Uint16(page[8:]) != metaPage ||
		binary.LittleEndian.Uint32(meta) != metaMagic ||
		binary.LittleEndian.Uint32(meta[4:]) != metaVersion ||
		binary.LittleEndian.Uint64(meta[56:]) != sum.Sum64() {
		return fmt.Errorf("meta page %d: %w", number, errPage)
	}
	return nil
}

func (c *pageCheck) size() error {
	info, err := c.file.Stat()
	if err != nil {
		return fmt.Errorf("check pages: %w", err)
	}
	if uint64(info.Size()) < c.end*c.pageSize {
		return fmt.Errorf("file has %d bytes of %d: %w", info.Size(), c.end*c.pageSize, errPage)
	}
	return nil
}

// page checks a page and those below it; leaf is called for the elements of leaves.
func (c *pageCheck) page(number uint64, leaf func(element) error) error {
	raw, err := c.read(number)
	if err != nil {
		return err
	}
	elements, end, err := parse(raw)
	if err != nil {
		return fmt.Errorf("page %d: %w", number, err)
	}
	if need := max(1, (end+c.pageSize-1)/c.pageSize); need*c.pageSize != uint64(len(raw)) {
		return fmt.Errorf("page %d has %d bytes in use of %d: %w", number, end, len(raw), errPage)
	}
	for _, e := range elements {
		visit := leaf
		if e.branch {
			visit = func(e element) error { return c.page(e.child, leaf) }
		}
		if err := visit(e); err != nil {
			return err
		}
	}
	return nil
}

// read returns a page with those that it overflows into, each for the first time.
func (c *pageCheck) read(number uint64) ([]byte, error) {
	header := make([]byte, pageHeader)
	if number < 2 || number >= c.end {
		return nil, fmt.Errorf("page %d of %d: %w", number, c.end, errPage)
	}
	if _, err := c.file.ReadAt(header, int64(number*c.pageSize)); err != nil {
		return nil, fmt.Errorf("page %d: %w: %w", number, errPage, err)
	}
	pages := uint64(binary.LittleEndian.Uint32(header[12:])) + 1
	if binary.LittleEndian.Uint64(header) != number || number+pages > c.end {
		return nil, fmt.Errorf("page %d: header: %w", number, errPage)
	}
	for i := range pages {
		if c.seen[number+i] {
			return nil, fmt.Errorf("page %d is used twice: %w", number+i, errPage)
		}
		c.seen[number+i] = true
	}
	raw := make([]byte, pages*c.pageSize)
	if _, err := c.file.ReadAt(raw, int64(number*c.pageSize)); err != nil {
		return nil, fmt.Errorf("page %d: %w: %w", number, errPage, err)
	}
	return raw, nil
}

// topBucket checks an element of the root: a bucket with pages of its own, or a
// small one inside the element.
func (c *pageCheck) topBucket(e element) error {
	if !e.bucket || len(e.value) < bucketHeader {
		return fmt.Errorf("element %q of the root is no bucket: %w", e.key, errPage)
	}
	c.names = append(c.names, string(e.key))
	if root := binary.LittleEndian.Uint64(e.value); root != 0 {
		return c.page(root, plain)
	}
	inline := e.value[bucketHeader:]
	if len(inline) < pageHeader || binary.LittleEndian.Uint64(inline) != 0 {
		return fmt.Errorf("bucket %q: %w", e.key, errPage)
	}
	elements, end, err := parse(inline)
	if err != nil || end != uint64(len(inline)) {
		return fmt.Errorf("bucket %q: %w", e.key, errPage)
	}
	for _, inner := range elements {
		if inner.branch {
			return fmt.Errorf("bucket %q: %w", e.key, errPage)
		}
		if err := plain(inner); err != nil {
			return err
		}
	}
	return nil
}

// plain checks an element of a bucket: raft-boltdb nests none.
func plain(e element) error {
	if e.bucket {
		return fmt.Errorf("element %x is a bucket: %w", e.key, errPage)
	}
	return nil
}

// element is an entry of a page.
type element struct {
	key, value     []byte
	child          uint64
	branch, bucket bool
}

// parse takes a page apart and returns where its content ends. bbolt packs keys
// and values without a gap after the list of elements and in its order, so that a
// wrong count, length or position shows.
func parse(raw []byte) ([]element, uint64, error) {
	flags := binary.LittleEndian.Uint16(raw[8:])
	count := uint64(binary.LittleEndian.Uint16(raw[10:]))
	next := pageHeader + count*pageElement
	if (flags != branchPage && flags != leafPage) || next > uint64(len(raw)) || (flags == branchPage && count == 0) {
		return nil, 0, fmt.Errorf("type %#x with %d elements: %w", flags, count, errPage)
	}
	elements := make([]element, count)
	for i := range count {
		e, end, err := parseElement(raw, pageHeader+i*pageElement, next, flags == branchPage)
		if err != nil || (i > 0 && bytes.Compare(elements[i-1].key, e.key) >= 0) {
			return nil, 0, fmt.Errorf("element %d: %w", i, errPage)
		}
		elements[i], next = e, end
	}
	return elements, next, nil
}

// parseElement reads the element whose description is at and whose content is next.
func parseElement(raw []byte, at, next uint64, branch bool) (element, uint64, error) {
	field := func(i uint64) uint64 { return uint64(binary.LittleEndian.Uint32(raw[at+4*i:])) }
	e := element{branch: branch}
	position, keySize, valueSize := field(1), field(2), field(3)
	if branch {
		position, keySize, valueSize = field(0), field(1), 0
		e.child = binary.LittleEndian.Uint64(raw[at+8:])
	} else {
		e.bucket = field(0) == bucketElement
	}
	end := next + keySize + valueSize
	if at+position != next || end > uint64(len(raw)) || (!branch && field(0) > bucketElement) {
		return element{}, 0, errPage
	}
	e.key, e.value = raw[next:next+keySize], raw[next+keySize:end]
	return e, end, nil
}
