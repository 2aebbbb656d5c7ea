package manifest

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// tree writes files below a new folder and returns it.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestLoad_FindsFiles(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		files []string
		src   Source
		want  []string
	}{
		{"present folder", []string{"runway.yml"}, Source{}, []string{"runway.yml"}},
		{"dot folder", []string{".runway/runway.yml"}, Source{}, []string{".runway/runway.yml"}},
		{"with env", []string{".runway/runway.yml", ".runway/env-production.yml", ".runway/env-staging.yml"}, Source{}, []string{".runway/runway.yml", ".runway/env-production.yml"}},
		{"environment replaces", []string{"runway.yml", "runway-production.yml"}, Source{}, []string{"runway-production.yml"}},
		{"other environment does not", []string{"runway.yml", "runway-staging.yml"}, Source{}, []string{"runway.yml"}},
		{"environment alone", []string{".runway/runway-production.yml"}, Source{}, []string{".runway/runway-production.yml"}},
		{"service folder", []string{".runway/a/runway.yml", ".runway/b/runway.yml", ".runway/b/env-production.yml"}, Source{Service: "b"}, []string{".runway/b/runway.yml", ".runway/b/env-production.yml"}},
		{"service folder before shared", []string{".runway/runway.yml", ".runway/b/runway.yml"}, Source{Service: "b"}, []string{".runway/b/runway.yml"}},
		{"own environment file before shared", []string{".runway/runway.yml", ".runway/b/runway-production.yml"}, Source{Service: "b"}, []string{".runway/b/runway-production.yml"}},
		{"service without folder", []string{".runway/runway.yml"}, Source{Service: "b"}, []string{".runway/runway.yml"}},
		{"only service folder", []string{".runway/a/runway.yml"}, Source{}, []string{".runway/a/runway.yml"}},
		{"named file", []string{"deploy/web.yml", "deploy/env-production.yml"}, Source{Path: "deploy/web.yml"}, []string{"deploy/web.yml", "deploy/env-production.yml"}},
		{"named folder", []string{"x/.runway/runway.yml"}, Source{Path: "x"}, []string{"x/.runway/runway.yml"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			files := map[string]string{}
			for _, f := range test.files {
				files[f] = head
				if strings.HasPrefix(filepath.Base(f), "env-") {
					files[f] = "A: 1\n"
				}
			}
			dir := tree(t, files)
			src := test.src
			src.Path, src.Environment = filepath.Join(dir, src.Path), "production"
			m, err := Load(src)
			if err != nil {
				t.Fatalf("load: %v", err)
			}
			var got []string
			for _, f := range m.Files {
				got = append(got, strings.TrimPrefix(f, dir+"/"))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLoad_ExplainsWhatIsMissing(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		files map[string]string
		src   Source
		want  string
	}{
		{"nothing", nil, Source{}, "DIR: RW-8001 no manifest: looked for runway-production.yml, runway.yml and default-values.yaml in DIR, DIR/.runway; name it with -f FILE"},
		{"several services", map[string]string{".runway/a/runway.yml": head, ".runway/b/runway.yml": head}, Source{}, "DIR: RW-8001 no manifest: several services here: DIR/.runway/a, DIR/.runway/b; name the service: runwayctl deploy a"},
		{"other ending", map[string]string{".runway/runway.yaml": head}, Source{}, "DIR: RW-8001 no manifest: looked for runway-production.yml, runway.yml and default-values.yaml in DIR, DIR/.runway; rename DIR/.runway/runway.yaml to runway.yml"},
		{"service has no manifest for this environment", map[string]string{".runway/runway.yml": head, ".runway/b/runway-staging.yml": head}, Source{Service: "b"}, "DIR: RW-8001 no manifest: looked for runway-production.yml, runway.yml and default-values.yaml in DIR/.runway/b; name it with -f FILE"},
		{"mistyped service", map[string]string{".runway/web/runway.yml": head, ".runway/api/runway.yml": head}, Source{Service: "wbe"}, "DIR: RW-8001 no manifest: looked for runway-production.yml, runway.yml and default-values.yaml in DIR, DIR/.runway; did you mean runwayctl deploy web?"},
		{"no such file", nil, Source{Path: "x.yml"}, "DIR/x.yml: RW-8001 no manifest: no such file or directory; name it with -f FILE"},
		{"hostile service", nil, Source{Service: "../../etc"}, `RW-8101 service name "../../etc" is not a DNS label in lower case; try "etc"`},
		{"device", nil, Source{Path: "/dev/zero"}, "/dev/zero: RW-8001 read file: it is not a regular file; name the manifest with -f FILE"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := tree(t, test.files)
			src := test.src
			if src.Environment = "production"; !strings.HasPrefix(src.Path, "/") {
				src.Path = filepath.Join(dir, src.Path)
			}
			_, err := Load(src)
			if err == nil || strings.ReplaceAll(err.Error(), dir, "DIR") != test.want {
				t.Errorf("load\n got %v\nwant %s", err, test.want)
			}
		})
	}
}

func TestLoad_WarnsOfTheFileThatIsNotUsed(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{"runway.yml": head, "runway-staging.yml": head})
	m, err := Load(Source{Path: filepath.Join(dir, "runway.yml"), Environment: "staging"})
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("%[1]s/runway.yml is used as named; %[1]s/runway-staging.yml is not", dir)
	if got := m.Warnings[len(m.Warnings)-1]; got != want {
		t.Errorf("warning %q, want %q", got, want)
	}
}

func TestLoad_MakesStringsOfAllVariables(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{"runway.yml": head, "env-production.yml": `
# comment
TEXT: hello
YES: true
NUMBER: 1
FLOAT: 1.10
HEX: 0x10
DATE: 2024-01-02
JSON: '{"a": [1, 2]}'
EMPTY: ""
NOTHING:
TILDE: ~
LINES: |
  a
  b
SAME: &s x
AGAIN: *s
`})
	m, err := Load(Source{Path: dir, Environment: "production"})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"TEXT": "hello", "YES": "true", "NUMBER": "1", "FLOAT": "1.10", "HEX": "0x10", "DATE": "2024-01-02", "JSON": `{"a": [1, 2]}`,
		"EMPTY": "", "NOTHING": "", "TILDE": "", "LINES": "a\nb\n", "SAME": "x", "AGAIN": "x",
	}
	if diff := cmp.Diff(want, m.Spec.GetEnv()); diff != "" {
		t.Errorf("env (-want +got):\n%s", diff)
	}
}

func TestLoad_RefusesBadVariables(t *testing.T) {
	var out strings.Builder
	for _, bad := range []struct{ id, input string }{
		{"duplicate", "A: 1\nA: 2\n"},
		{"name-with-equals", "A=B: 1\n"},
		{"name-empty", "\"\": 1\n"},
		{"name-digit", "1A: 1\n"},
		{"name-list", "? [A]\n: 1\n"},
		{"name-long", strings.Repeat("A", 257) + ": 1\n"},
		{"reserved-prefix", "RUNWAY_SERVICE: x\n"},
		{"reserved-port", "PORT: 80\n"},
		{"reserved-preload", "LD_PRELOAD: /x.so\n"},
		{"value-list", "A: [1]\n"},
		{"value-mapping", "A:\n  B: 1\n"},
		{"value-nul", "A: \"x\\0\"\n"},
		{"value-64k", "A: " + strings.Repeat("x", 64<<10+1) + "\n"},
		{"value-1mb", "A: " + strings.Repeat("x", 1<<20) + "\n"},
		{"merge", "X: &x {A: 1}\n<<: *x\n"},
		{"list", "- A\n"},
		{"too-many", manyVariables(501)},
		{"all-at-once", "A: [1]\nPORT: 1\nB C: 1\n"},
	} {
		dir := tree(t, map[string]string{"runway.yml": head, "env-production.yml": bad.input})
		_, err := Load(Source{Path: dir, Environment: "production"})
		if err == nil {
			t.Errorf("%s: accepted", bad.id)
			continue
		}
		fmt.Fprintf(&out, "-- %s --\n%s\n", bad.id, strings.ReplaceAll(err.Error(), dir+"/", ""))
	}
	golden(t, "testdata/bad_env.golden", out.String())
}

func manyVariables(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "V%d: 1\n", i)
	}
	return b.String()
}

// Problems of the manifest and of the env file are shown together.
func TestLoad_ReportsBothFiles(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{"runway.yml": head + "foo: 1\n", "env-production.yml": "PORT: 1\n"})
	_, err := Load(Source{Path: dir, Environment: "production"})
	if err == nil || !strings.Contains(err.Error(), "RW-8003") || !strings.Contains(err.Error(), "RW-8106") {
		t.Errorf("got %v, want RW-8003 and RW-8106", err)
	}
}

// hostile inputs must be answered quickly and without much memory.
func TestLoad_BoundsTimeAndMemory(t *testing.T) {
	const fill = maxFileBytes
	for _, hostile := range []struct{ id, input string }{
		{"fifty-megabytes", strings.Repeat("a: b\n", 10<<20)},
		{"alias-bomb", aliasBomb()},
		{"flow-depth", strings.Repeat("[", fill)},
		{"flow-depth-short", strings.Repeat("[", 8<<10)},
		{"flow-map-depth", strings.Repeat("{a: ", fill/4)},
		{"block-depth", deepBlocks(500)},
		{"sequence-depth", strings.Repeat("- ", fill/2)},
		{"sequence-depth-short", strings.Repeat("- ", 4<<10)},
		{"question-depth", strings.Repeat("? ", fill/2)},
		{"question-depth-short", strings.Repeat("? ", 4<<10)},
		{"many-duplicates", strings.Repeat("a: b\n", fill/5)},
		{"many-unknown", manyKeys(fill)},
		{"long-key", strings.Repeat("k", fill-2) + ":"},
		{"open-quote", "a: \"" + strings.Repeat("x\n ", fill/3-2)},
		{"flow-list", "spec: [" + strings.Repeat("a,", fill/2-8)},
		{"nul", strings.Repeat("\x00", fill)},
	} {
		t.Run(hostile.id, func(t *testing.T) {
			path := filepath.Join(tree(t, map[string]string{"runway.yml": hostile.input}), "runway.yml")
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			took, err := processorTime(t, func() error {
				_, err := Load(Source{Path: path, Environment: "production"})
				return err
			})
			runtime.ReadMemStats(&after)
			if err == nil {
				t.Error("accepted")
			}
			// Ten times the 100 ms that one file may take, so that the race detector
			// does not fail it.
			if took > time.Second {
				t.Errorf("took %v", took)
			}
			if used := after.TotalAlloc - before.TotalAlloc; used > 50<<20 {
				t.Errorf("allocated %d MiB", used>>20)
			}
			t.Logf("%v, %d KiB: %.120s", took, (after.TotalAlloc-before.TotalAlloc)>>10, err)
		})
	}
}

// processorTime is what do took of a processor, however busy the machine is.
func processorTime(t *testing.T, do func() error) (time.Duration, error) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	used := func() time.Duration {
		var usage unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_THREAD, &usage); err != nil {
			t.Fatal(err)
		}
		return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	}
	before := used()
	err := do()
	return used() - before, err
}

func deepBlocks(depth int) string {
	var b strings.Builder
	for i := range depth {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

func manyKeys(size int) string {
	var b strings.Builder
	for i := 0; b.Len() < size-20; i++ {
		fmt.Fprintf(&b, "k%d: 1\n", i)
	}
	return b.String()
}
