package logs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

const name = "web-1-0"

type fixture struct {
	*Collector
	t    *testing.T
	path string
}

func newFixture(t *testing.T, change func(*Config)) fixture {
	t.Helper()
	folder := t.TempDir()
	path := filepath.Join(folder, "nerdctl", name, name+"-json.log")
	config := Config{
		Folder: filepath.Join(folder, "spool"),
		PathOf: func(string) (string, error) { return path, nil },
		Log:    slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	if change != nil {
		change(&config)
	}
	c, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.closeAll)
	return fixture{Collector: c, t: t, path: path}
}

// reborn is the collector of the agent's next life.
func (f fixture) reborn() fixture {
	f.t.Helper()
	f.closeAll()
	c, err := New(f.config)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(c.closeAll)
	return fixture{Collector: c, t: f.t, path: f.path}
}

// writes appends as a shim does.
func (f fixture) writes(text string) {
	f.t.Helper()
	spool, err := f.Spool(name)
	if err != nil {
		f.t.Fatal(err)
	}
	file, err := os.OpenFile(spool, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		f.t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteString(text); err != nil {
		f.t.Fatal(err)
	}
}

func (f fixture) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f fixture) texts(options Options) []string {
	f.t.Helper()
	var texts []string
	f.must(f.Read(context.Background(), name, options, func(l Line) error {
		text := l.Text
		if l.Late {
			text += " (late)"
		}
		texts = append(texts, text)
		return nil
	}))
	return texts
}

func want(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestCollector_KeepsLinesAsDockerDoes(t *testing.T) {
	f := newFixture(t, nil)
	f.must(f.Follow(name))
	f.writes("one\n<two>\nthr")
	f.round()
	want(t, "unfinished line waits", f.texts(Options{}), "one", "<two>")
	f.writes("ee\n")
	f.round()
	want(t, "finished line", f.texts(Options{}), "one", "<two>", "three")
	raw, err := os.ReadFile(f.path)
	f.must(err)
	if !strings.HasPrefix(string(raw), `{"log":"one\n","stream":"stdout","time":"`) {
		t.Errorf("segment begins %.60q, want docker's JSON", raw)
	}
	if got := f.Counts(); got.Lines != 3 || got.Bytes != uint64(len("one\n<two>\nthree\n")) {
		t.Errorf("counts %+v, want 3 lines", got)
	}
}

func TestCollector_UnfinishedLineIsShownAfterASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, nil)
		f.must(f.Follow(name))
		f.writes("password: ")
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if err := f.Run(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("run ended with %v", err)
		}
		want(t, "prompt", f.texts(Options{}), "password: ")
	})
}

func TestCollector_ResumesAndMarksLateLines(t *testing.T) {
	f := newFixture(t, nil)
	f.must(f.Follow(name))
	f.writes("before\n")
	f.round()
	f.closeAll()
	f.writes("during\n")
	f = f.reborn()
	f.must(f.Follow(name))
	f.writes("after\n")
	f.round()
	want(t, "lines", f.texts(Options{}), "before", "during (late)", "after")
}

func TestCollector_FinishKeepsWhatIsLeft(t *testing.T) {
	f := newFixture(t, nil)
	f.must(f.Follow(name))
	f.writes("last words")
	f.must(f.Finish(name))
	want(t, "lines", f.texts(Options{}), "last words")
	f.must(f.Finish(name))
	want(t, "finished twice", f.texts(Options{}), "last words")
}

func TestCollector_FinishAfterAnOutage(t *testing.T) {
	f := newFixture(t, nil)
	f.writes("died while the agent was away\n")
	f = f.reborn()
	f.must(f.Finish(name))
	want(t, "lines", f.texts(Options{}), "died while the agent was away (late)")
}

func TestCollector_RotatesWithinItsBound(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.SegmentBytes, c.Segments = 4096, 3 })
	f.must(f.Follow(name))
	for i := range 200 {
		f.writes(fmt.Sprintf("line %03d %s\n", i, strings.Repeat("x", 50)))
		f.round()
	}
	files, err := filepath.Glob(f.path + "*")
	f.must(err)
	total := int64(0)
	for _, file := range files {
		info, err := os.Stat(file)
		f.must(err)
		total += info.Size()
	}
	if len(files) != 3 || total > 3*4096 {
		t.Errorf("%d files of %d bytes, want 3 of at most %d", len(files), total, 3*4096)
	}
	tail, err := f.Tail(name, 60)
	f.must(err)
	if len(tail) != 60 || !strings.HasPrefix(tail[0].Text, "line 140") || !strings.HasPrefix(tail[59].Text, "line 199") {
		t.Errorf("last 60 lines over segments: got %d lines", len(tail))
	}
}

func TestCollector_TrimsTheSpoolUnderItsWriter(t *testing.T) {
	f := newFixture(t, nil)
	f.must(f.Follow(name))
	f.writes(strings.Repeat(strings.Repeat("y", 1023)+"\n", 4096))
	for range 10 {
		f.round()
	}
	spool, err := f.Spool(name)
	f.must(err)
	var stat syscall.Stat_t
	f.must(syscall.Stat(spool, &stat))
	if stat.Size != 4<<20 || stat.Blocks*512 > 2<<20 {
		t.Errorf("spool has size %d and %d bytes on disk, want its size unchanged and its head freed", stat.Size, stat.Blocks*512)
	}
	f.writes("and on\n")
	f.round()
	tail, err := f.Tail(name, 1)
	f.must(err)
	if len(tail) != 1 || tail[0].Text != "and on" {
		t.Errorf("after trimming: got %+v, want the writer's next line", tail)
	}
}

func TestCollector_DropsWhatIsTooFarBehind(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.BacklogBytes = 64 << 10 })
	f.must(f.Follow(name))
	f.writes(strings.Repeat(strings.Repeat("z", 1023)+"\n", 128))
	f.round()
	f.must(f.Finish(name))
	lines := f.texts(Options{})
	if len(lines) != 33 || !strings.Contains(lines[0], "98304 bytes of output were dropped") {
		t.Errorf("got %d lines, first %.80q, want a note and 32 lines", len(lines), lines[0])
	}
	if got := f.Counts().DroppedBytes; got != 98304 {
		t.Errorf("dropped %d, want 98304", got)
	}
}

func TestCollector_CutsLongLines(t *testing.T) {
	f := newFixture(t, nil)
	f.must(f.Follow(name))
	f.writes(strings.Repeat("a", 40<<10) + "\nshort\n")
	f.round()
	lines := f.texts(Options{})
	if len(lines) != 4 || len(lines[0]) != lineBytes || lines[3] != "short" {
		t.Errorf("got %d lines, want the long one in three and the short one", len(lines))
	}
}

func TestCollector_RefusesALinkForASpool(t *testing.T) {
	f := newFixture(t, nil)
	secret := filepath.Join(t.TempDir(), "secret")
	f.must(os.WriteFile(secret, []byte("secret\n"), 0o600))
	spool, err := f.Spool(name)
	f.must(err)
	f.must(os.Symlink(secret, spool))
	if err := f.Follow(name); !errors.Is(err, syscall.ELOOP) {
		t.Errorf("follow a link: got %v, want %v", err, syscall.ELOOP)
	}
	f.must(os.Remove(spool))
	f.must(syscall.Mkfifo(spool, 0o600))
	if err := f.Follow(name); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("follow a pipe: got %v, want a refusal", err)
	}
}

func TestCollector_StartsAnewWithAShorterSpool(t *testing.T) {
	f := newFixture(t, nil)
	f.must(f.Follow(name))
	f.writes("a long first line\n")
	f.round()
	f.closeAll()
	spool, err := f.Spool(name)
	f.must(err)
	f.must(os.Remove(spool))
	f.writes("new\n")
	f = f.reborn()
	f.must(f.Finish(name))
	want(t, "lines", f.texts(Options{}), "a long first line", "new (late)")
}

func TestCollector_MendsATornLine(t *testing.T) {
	f := newFixture(t, nil)
	f.must(f.Follow(name))
	f.must(os.MkdirAll(filepath.Dir(f.path), 0o700))
	f.must(os.WriteFile(f.path, []byte(`{"log":"torn by a cra`), 0o600))
	f.writes("whole\n")
	f.round()
	want(t, "lines", f.texts(Options{}), "whole")
}

func TestCollector_QuietSpoolIsStillRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, nil)
		f.must(f.Follow(name))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- f.Run(ctx) }()
		time.Sleep(time.Hour)
		f.writes("awake\n")
		time.Sleep(quietRounds * pollInterval)
		synctest.Wait()
		want(t, "lines", f.texts(Options{}), "awake")
		cancel()
		<-ended
	})
}

func TestCollector_FollowsAcrossSegmentsUntilTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, func(c *Config) { c.SegmentBytes = 1024 })
		f.must(f.Follow(name))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- f.Run(ctx) }()
		var got []string
		read := make(chan error, 1)
		go func() {
			read <- f.Read(ctx, name, Options{Follow: true}, func(l Line) error { got = append(got, l.Text); return nil })
		}()
		var all []string
		for i := range 40 {
			all = append(all, fmt.Sprintf("line %d", i))
			f.writes(all[i] + "\n")
			time.Sleep(2 * pollInterval)
		}
		f.must(f.Finish(name))
		f.must(<-read)
		want(t, "followed", got, all...)
		cancel()
		<-ended
	})
}

func TestCollector_ReadHonoursSinceAndErrors(t *testing.T) {
	f := newFixture(t, nil)
	f.must(f.Follow(name))
	f.writes("old\n")
	f.round()
	if got := f.texts(Options{Since: time.Now().Add(time.Minute)}); got != nil {
		t.Errorf("since the future: got %v, want nothing", got)
	}
	full := errors.New("full")
	if err := f.Read(t.Context(), name, Options{}, func(Line) error { return full }); !errors.Is(err, full) {
		t.Errorf("failing reader: got %v", err)
	}
	if err := f.Read(t.Context(), "other-0", Options{}, nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("unknown container: got %v, want %v", err, ErrNotFound)
	}
}

func TestCollector_RemoveLeavesNothing(t *testing.T) {
	f := newFixture(t, nil)
	f.must(f.Follow(name))
	f.writes("x\n")
	f.round()
	f.must(f.Remove(name))
	names, err := f.Containers()
	f.must(err)
	if _, err := os.Stat(filepath.Dir(f.path)); !errors.Is(err, os.ErrNotExist) || len(names) != 0 {
		t.Errorf("left %v, segment folder: %v", names, err)
	}
	f.must(f.Remove(name))
}

func TestNew_RefusesAnEmptyConfig(t *testing.T) {
	if _, err := New(Config{}); err == nil {
		t.Error("want an error")
	}
}

// The bound of the spool holds although no log can be written; what was lost is said once one can.
func TestCollector_DropsAlsoWhenNothingCanBeWritten(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.BacklogBytes = 64 << 10 })
	f.must(f.Follow(name))
	segment, err := f.segmentPath(name)
	f.must(err)
	f.must(os.MkdirAll(segment, 0o700)) // stands for a disk that takes nothing
	for range 3 {
		f.writes(strings.Repeat(strings.Repeat("z", 1023)+"\n", 128))
		f.round()
	}
	spool := &f.tail(name).spool
	size, err := spool.size()
	f.must(err)
	if behind := size - spool.offset; behind > 64<<10 {
		t.Errorf("spool holds %d bytes, want its bound of 64 KiB", behind)
	}
	f.must(os.Remove(segment))
	f.must(f.Finish(name))
	lines := f.texts(Options{})
	if want := fmt.Sprintf("%d bytes of output were dropped", f.Counts().DroppedBytes); !strings.Contains(lines[0], want) {
		t.Errorf("first line %.80q, want %q", lines[0], want)
	}
}
