// Package logs keeps what replicas write. The runtime appends raw output to a spool file; the Collector tails it, stamps each
// line and writes bounded docker-JSON segments to the place where nerdctl looks. It never renames or truncates the spool under
// its writer: what has been kept is punched out of its head. It starts no container and sends nothing over a network.
//
// A name in this package is the name of a container: attempt n of replica r is r-n.
package logs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// The bounds of one replica's logs.
const (
	// DefaultSegmentBytes and DefaultSegments are docker's usual rotation.
	DefaultSegmentBytes = 10 << 20
	DefaultSegments     = 5
	// DefaultBacklogBytes is how far a spool may run ahead of the collector before its oldest output is dropped: more than
	// all segments together would be dropped anyway.
	DefaultBacklogBytes = 64 << 20
	// pollInterval is the time from a write to its line in a segment; a person who follows a log does not see it.
	pollInterval = 100 * time.Millisecond
	// A spool that did not grow for quietAfter is looked at only every quietRounds polls: most replicas write little, and looking
	// at hundreds of them ten times a second is what an idle node would mostly do.
	quietAfter  = 10 * time.Second
	quietRounds = 5
	// roundBytes is read from one spool per poll, so that one replica which floods its log cannot starve the others.
	roundBytes = 512 << 10
	// chunkBytes is read at once; it must hold the longest line.
	chunkBytes = 64 << 10
)

// ErrNotFound is a container without logs.
var ErrNotFound = errors.New("no logs")

// Config says where logs live and how large they get. Zero sizes mean the defaults.
type Config struct {
	// Folder holds the spools. Only root may reach it.
	Folder string
	// PathOf returns the newest segment of a container; older ones have .1, .2 ... added. Nil keeps them in Folder.
	PathOf       func(container string) (string, error)
	SegmentBytes int64
	Segments     int
	BacklogBytes int64
	Log          *slog.Logger
}

// Counts are totals since the collector was made.
type Counts struct {
	Lines, Bytes, DroppedBytes uint64
}

// Collector tails the spools of all containers of one node. Its methods may be called by many goroutines.
type Collector struct {
	config  Config
	mu      sync.Mutex
	tails   map[string]*tail
	buffers sync.Pool
	rounds  uint64 // of Run
	lines   atomic.Uint64
	bytes   atomic.Uint64
	dropped atomic.Uint64
}

// New makes the folder of config and a collector over it. Nothing is tailed until Run.
func New(config Config) (*Collector, error) {
	if config.Folder == "" || config.Log == nil {
		return nil, errors.New("make log collector: folder and logger must be set")
	}
	if err := os.MkdirAll(config.Folder, 0o700); err != nil {
		return nil, fmt.Errorf("make log folder: %w", err)
	}
	config.SegmentBytes = orDefault(config.SegmentBytes, DefaultSegmentBytes)
	config.Segments = orDefault(config.Segments, DefaultSegments)
	config.BacklogBytes = orDefault(config.BacklogBytes, DefaultBacklogBytes)
	c := &Collector{config: config, tails: map[string]*tail{}}
	c.buffers.New = func() any { return new([chunkBytes]byte) }
	return c, nil
}

// Run reads new output until ctx ends.
func (c *Collector) Run(ctx context.Context) error {
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	for {
		select {
		case <-ctx.Done():
			c.closeAll()
			return ctx.Err()
		case <-poll.C:
			c.round()
		}
	}
}

// Spool returns the file that the runtime must append the output of container to, and makes its folder.
func (c *Collector) Spool(container string) (string, error) {
	if err := os.MkdirAll(c.folder(container), 0o700); err != nil {
		return "", fmt.Errorf("make spool folder %q: %w", container, err)
	}
	return c.spool(container), nil
}

// Follow begins to collect the output of container. Output that is there already is marked as late: it was written while
// nobody read. Following it twice is no error.
func (c *Collector) Follow(container string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tails[container] != nil {
		return nil
	}
	if _, err := c.Spool(container); err != nil {
		return err
	}
	path, err := c.segmentPath(container)
	if err != nil {
		return err
	}
	out := &segments{path: path, limit: c.config.SegmentBytes, keep: c.config.Segments}
	t := &tail{collector: c, container: container, out: out}
	if err := t.resume(); err != nil {
		return fmt.Errorf("follow logs of %q: %w", container, err)
	}
	c.tails[container] = t
	return nil
}

// Hold makes sure that all output of a container can be collected after its spool was removed, as a runtime does it that first
// waits for the last output.
func (c *Collector) Hold(container string) error {
	if err := c.Follow(container); err != nil {
		return err
	}
	c.mu.Lock()
	t := c.tails[container]
	c.mu.Unlock()
	if t == nil {
		return nil // finished by another caller
	}
	return t.hold()
}

// Finish collects the rest of the output of a container that has exited and stops following it. The lines stay readable.
func (c *Collector) Finish(container string) error {
	if err := c.Follow(container); err != nil {
		return err
	}
	c.mu.Lock()
	t := c.tails[container]
	delete(c.tails, container)
	c.mu.Unlock()
	if t == nil {
		return nil // finished by another caller
	}
	return t.finish(time.Now())
}

// Remove forgets a container and deletes its spool and lines.
func (c *Collector) Remove(container string) error {
	c.mu.Lock()
	t := c.tails[container]
	delete(c.tails, container)
	c.mu.Unlock()
	if t != nil {
		t.close()
	}
	path, err := c.segmentPath(container)
	if err != nil {
		return err
	}
	out := segments{path: path, keep: c.config.Segments}
	return errors.Join(out.remove(), os.RemoveAll(c.folder(container)))
}

// Containers returns the names of all containers that have anything here, sorted.
func (c *Collector) Containers() ([]string, error) {
	entries, err := os.ReadDir(c.config.Folder)
	if err != nil {
		return nil, fmt.Errorf("list logs: %w", err)
	}
	var names []string
	for _, entry := range entries {
		if entry.IsDir() {
			names = append(names, entry.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

// Counts returns the totals so far.
func (c *Collector) Counts() Counts {
	return Counts{Lines: c.lines.Load(), Bytes: c.bytes.Load(), DroppedBytes: c.dropped.Load()}
}

func (c *Collector) round() {
	now := time.Now()
	c.rounds++
	for _, t := range c.followed() {
		if c.rounds%quietRounds != 0 && t.quiet(now) {
			continue
		}
		if err := t.collect(now, roundBytes); err != nil {
			t.warnOnce(err)
		}
	}
}

func (c *Collector) followed() []*tail {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]*tail, 0, len(c.tails))
	for _, t := range c.tails {
		all = append(all, t)
	}
	return all
}

func (c *Collector) closeAll() {
	for _, t := range c.followed() {
		t.close()
	}
}

func (c *Collector) folder(container string) string { return filepath.Join(c.config.Folder, container) }
func (c *Collector) spool(container string) string {
	return filepath.Join(c.folder(container), "spool")
}

func (c *Collector) segmentPath(container string) (string, error) {
	if c.config.PathOf == nil {
		return filepath.Join(c.folder(container), container+"-json.log"), nil
	}
	path, err := c.config.PathOf(container)
	if err != nil {
		return "", fmt.Errorf("find log path of %q: %w", container, err)
	}
	return path, nil
}

func orDefault[N int | int64](value, fallback N) N {
	if value <= 0 {
		return fallback
	}
	return value
}
