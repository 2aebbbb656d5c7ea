package logs

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"
)

// Options says which lines to read.
type Options struct {
	// Tail is how many lines from the end to begin with; 0 means from the beginning.
	Tail int
	// Since leaves out older lines.
	Since time.Time
	// Follow goes on with new lines until the container has ended.
	Follow bool
}

// readerBytes holds the longest record: a line of lineBytes in which JSON escapes every byte.
const readerBytes = 8 * lineBytes

// Read calls yield for each line of a container, oldest first, until there is no more, ctx ends or yield fails. A container
// that never wrote has no lines; one that is not known is ErrNotFound.
func (c *Collector) Read(ctx context.Context, container string, options Options, yield func(Line) error) error {
	files, err := c.openSegments(container)
	if err != nil {
		return err
	}
	defer func() { closeFiles(files) }()
	if options.Tail > 0 {
		if files, err = skipToTail(files, options.Tail); err != nil {
			return fmt.Errorf("read logs of %q: %w", container, err)
		}
	}
	r := reader{since: options.Since, yield: yield}
	for _, file := range files {
		if err := r.drain(ctx, file); err != nil {
			return err
		}
	}
	if !options.Follow {
		return nil
	}
	var newest *os.File
	if len(files) > 0 {
		newest, files = files[len(files)-1], files[:len(files)-1]
	}
	return c.follow(ctx, container, newest, &r)
}

// Tail returns the last n lines of a container, as evidence; none when there are none.
func (c *Collector) Tail(container string, n int) ([]Line, error) {
	var lines []Line
	err := c.Read(context.Background(), container, Options{Tail: n}, func(l Line) error {
		lines = append(lines, l)
		return nil
	})
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	return lines, err
}

// Has reports whether a container has logs here, be they empty.
func (c *Collector) Has(container string) bool {
	_, err := os.Stat(c.folder(container))
	return err == nil
}

// follow reads on in newest, and in the segments that come after it.
func (c *Collector) follow(ctx context.Context, container string, newest *os.File, r *reader) error {
	defer func() { closeFiles([]*os.File{newest}) }()
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	for {
		ended := c.tail(container) == nil // asked before reading, so that the last lines are not missed
		next, err := c.newer(container, newest)
		if err != nil {
			return err
		}
		if err := r.drain(ctx, newest); err != nil {
			return err
		}
		if next != nil {
			closeFiles([]*os.File{newest})
			newest = next
			continue
		}
		if ended {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-poll.C:
		}
	}
}

// newer opens the newest segment when it is no longer the one being read. A reader so slow that several went by misses those.
func (c *Collector) newer(container string, reading *os.File) (*os.File, error) {
	path, err := c.segmentPath(container)
	if err != nil {
		return nil, err
	}
	now, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read logs of %q: %w", container, err)
	}
	if reading != nil {
		before, err := reading.Stat()
		if err != nil || os.SameFile(before, now) {
			return nil, err
		}
	}
	return os.Open(path)
}

// openSegments opens all segments of a container while none can be rotated.
func (c *Collector) openSegments(container string) ([]*os.File, error) {
	path, err := c.segmentPath(container)
	if err != nil {
		return nil, err
	}
	if t := c.tail(container); t != nil {
		t.mu.Lock()
		defer t.mu.Unlock()
	} else if !c.Has(container) {
		return nil, fmt.Errorf("read logs of %q: %w", container, ErrNotFound)
	}
	all := segments{path: path, keep: c.config.Segments}
	return all.openAll()
}

func (c *Collector) tail(container string) *tail {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tails[container]
}

// reader hands lines on. It keeps the beginning of a record whose end is not written yet.
type reader struct {
	since time.Time
	yield func(Line) error
	rest  []byte
}

func (r *reader) drain(ctx context.Context, file *os.File) error {
	if file == nil {
		return nil
	}
	buffer := bufio.NewReaderSize(file, readerBytes)
	for ctx.Err() == nil {
		text, err := buffer.ReadBytes('\n')
		r.rest = append(r.rest, text...)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read log segment: %w", err)
		}
		line, whole := decode(r.rest)
		r.rest = r.rest[:0]
		if !whole || line.At.Before(r.since) {
			continue
		}
		if err := r.yield(line); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// skipToTail moves to the last n lines of files and returns the files that hold them; the others it closes.
func skipToTail(files []*os.File, n int) ([]*os.File, error) {
	for i, file := range slices.Backward(files) {
		found, err := seekToLines(file, n)
		if err != nil {
			closeFiles(files)
			return nil, err
		}
		if n -= found; n == 0 {
			closeFiles(files[:i])
			return files[i:], nil
		}
	}
	return files, nil
}

// seekToLines positions file at its last n lines, or at its beginning, and returns how many lines follow.
func seekToLines(file *os.File, n int) (int, error) {
	end, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, fmt.Errorf("read log segment: %w", err)
	}
	found := 0
	block := make([]byte, chunkBytes)
	for position := end; position > 0; {
		size := min(chunkBytes, position)
		position -= size
		if _, err := file.ReadAt(block[:size], position); err != nil {
			return 0, fmt.Errorf("read log segment: %w", err)
		}
		for at := bytes.LastIndexByte(block[:size], '\n'); at >= 0; at = bytes.LastIndexByte(block[:at], '\n') {
			if found == n {
				_, err := file.Seek(position+int64(at)+1, io.SeekStart)
				return n, err
			}
			found++
		}
	}
	_, err = file.Seek(0, io.SeekStart)
	return found, err
}
