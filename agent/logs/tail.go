package logs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// partialAge is how long an unfinished line waits for its end: a prompt or a progress dot should be seen.
const partialAge = time.Second

// tail moves the output of one container from its spool to its segments.
type tail struct {
	collector *Collector
	container string

	mu     sync.Mutex
	spool  spool
	out    *segments
	closed bool
	// lateUntil is where the spool ended when following began.
	lateUntil int64
	// seen is the size at the last look, and grewAt when it changed.
	seen   int64
	grewAt time.Time
	warned bool
	// lost is how much was dropped and is not said in the log yet.
	lost int64
}

// resume picks up where an earlier life of the agent stopped.
func (t *tail) resume() error {
	t.spool.path = t.collector.spool(t.container)
	t.grewAt = time.Now()
	if err := t.spool.loadOffset(); err != nil {
		return err
	}
	there, err := t.spool.open()
	if err != nil || !there {
		return errors.Join(err, t.rewind(0))
	}
	size, err := t.spool.size()
	if err != nil {
		return err
	}
	t.lateUntil = size
	return t.rewind(size)
}

// rewind starts anew when the spool is shorter than what was read of it: it is another file.
func (t *tail) rewind(size int64) error {
	if t.spool.offset <= size {
		return nil
	}
	t.spool.offset, t.spool.punched = 0, 0
	return nil
}

// quiet reports whether the spool has not grown for a while.
func (t *tail) quiet(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return now.Sub(t.grewAt) > quietAfter
}

// collect keeps what is new, at most budget bytes.
func (t *tail) collect(now time.Time, budget int64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil
	}
	there, err := t.spool.open()
	if err != nil || !there {
		return err
	}
	size, err := t.spool.size()
	if err != nil {
		return err
	}
	if size != t.seen {
		t.seen, t.grewAt = size, now
	} else if t.spool.offset == size || now.Sub(t.grewAt) < partialAge {
		return nil // nothing new, or an unfinished line that may still be finished
	}
	if err := errors.Join(t.rewind(size), t.drop(size), t.noteLost(now)); err != nil {
		return err
	}
	end := min(size, t.spool.offset+budget)
	flush := end == size && now.Sub(t.grewAt) >= partialAge
	if err := t.copy(end, now, flush); err != nil {
		return err
	}
	if end < size {
		t.seen = -1 // over budget: look again although nothing grows
	}
	t.warned = false
	return nil
}

// hold opens the spool, if there is one.
func (t *tail) hold() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil
	}
	_, err := t.spool.open()
	return err
}

// finish keeps everything that is left and ends.
func (t *tail) finish(now time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil
	}
	there, err := t.spool.open()
	if err == nil && there {
		err = t.copyAll(now)
	}
	return errors.Join(err, t.closeLocked())
}

func (t *tail) copyAll(now time.Time) error {
	size, err := t.spool.size()
	if err != nil {
		return err
	}
	if err := errors.Join(t.rewind(size), t.drop(size), t.noteLost(now)); err != nil {
		return err
	}
	return t.copy(size, now, true)
}

// drop skips the oldest output of a replica that writes faster than it can be kept. It comes before everything that writes: the
// bound of the spool must hold on a full disk, too.
func (t *tail) drop(size int64) error {
	behind := size - t.spool.offset
	if behind <= t.collector.config.BacklogBytes {
		return nil
	}
	lost := behind - t.collector.config.BacklogBytes/2
	if err := t.spool.advance(t.spool.offset + lost); err != nil {
		return err
	}
	t.collector.dropped.Add(uint64(lost))
	t.lost += lost
	return nil
}

// noteLost says in the log what was dropped, as soon as a log can be written.
func (t *tail) noteLost(now time.Time) error {
	if t.lost == 0 {
		return nil
	}
	note := fmt.Sprintf("runway: %d bytes of output were dropped: they were written faster than they could be kept\n", t.lost)
	var line bytes.Buffer
	if err := encode(&line, []byte(note), now, false); err != nil {
		return err
	}
	if err := t.out.write(line.Bytes()); err != nil {
		return err
	}
	t.lost = 0
	return nil
}

// copy keeps the lines between the offset and end. An unfinished last line is left for later, unless flush is set.
func (t *tail) copy(end int64, now time.Time, flush bool) error {
	buffer := t.collector.buffers.Get().(*[chunkBytes]byte)
	defer t.collector.buffers.Put(buffer)
	for t.spool.offset < end {
		chunk := buffer[:min(chunkBytes, end-t.spool.offset)]
		n, err := t.spool.file.ReadAt(chunk, t.spool.offset)
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read spool: %w", err)
		}
		last := t.spool.offset+int64(n) >= end
		used, err := t.keep(chunk[:n], now, flush && last)
		if err != nil || used == 0 {
			return err
		}
	}
	return nil
}

// keep writes the lines of a chunk and returns how many of its bytes they were.
func (t *tail) keep(chunk []byte, now time.Time, flush bool) (int, error) {
	var batch bytes.Buffer
	used, lines := 0, uint64(0)
	for used < len(chunk) {
		n := lineLength(chunk[used:], flush)
		if n == 0 {
			break
		}
		if err := encode(&batch, chunk[used:used+n], now, t.spool.offset+int64(used) < t.lateUntil); err != nil {
			return 0, err
		}
		used, lines = used+n, lines+1
	}
	if used == 0 {
		return 0, nil
	}
	if err := t.out.write(batch.Bytes()); err != nil {
		return 0, err
	}
	t.collector.lines.Add(lines)
	t.collector.bytes.Add(uint64(used))
	return used, t.spool.advance(t.spool.offset + int64(used))
}

// lineLength returns the length of the first line with its newline, at most lineBytes; 0 when its end is not there yet.
func lineLength(text []byte, flush bool) int {
	end := bytes.IndexByte(text[:min(len(text), lineBytes)], '\n')
	switch {
	case end >= 0:
		return end + 1
	case len(text) >= lineBytes:
		return lineBytes
	case flush:
		return len(text)
	}
	return 0
}

func (t *tail) warnOnce(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.warned {
		t.collector.config.Log.Warn("logs cannot be kept", "container", t.container, "err", err)
	}
	t.warned = true
}

func (t *tail) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.closeLocked(); err != nil && !errors.Is(err, os.ErrClosed) {
		t.collector.config.Log.Warn("logs were not closed", "container", t.container, "err", err)
	}
}

func (t *tail) closeLocked() error {
	if t.closed {
		return nil
	}
	t.closed = true
	return errors.Join(t.spool.close(), t.out.close())
}
