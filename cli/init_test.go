package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is written is what was found, and validate accepts it.
func TestInit_WritesAManifestThatIsValid(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		files map[string]string
		says  string
		port  int
	}{
		{"go", map[string]string{"go.mod": "module x\n", "Dockerfile": "FROM a AS build\nEXPOSE 1\nFROM b\nexpose 9000/tcp\n"}, "Go code with a Dockerfile", 9000},
		{"node without image", map[string]string{"package.json": "{}"}, "Node.js code without a Dockerfile", 8080},
		{"python", map[string]string{"requirements.txt": "", "Containerfile": "FROM a\nEXPOSE $PORT\n"}, "Python code with a Containerfile", 8080},
		{"port out of range", map[string]string{"Dockerfile": "EXPOSE 70000\n"}, "code with a Dockerfile", 8080},
		{"empty", nil, "code without a Dockerfile", 8080},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := folder(t, test.files)
			o := (&run{dir: dir, args: "init null --dir DIR"}).do(t) // a word that YAML has for nothing
			if want := "wrote DIR/.runway/runway.yml for " + test.says + "\n"; o.exit != 0 || !strings.HasPrefix(o.stdout, want) {
				t.Fatalf("exit %d, stdout %q, stderr %q; want %q", o.exit, o.stdout, o.stderr, want)
			}
			text, err := os.ReadFile(filepath.Join(dir, ".runway", "runway.yml"))
			if err != nil || !strings.Contains(string(text), fmt.Sprintf("\n  container_port: %d\n", test.port)) {
				t.Errorf("%v, want port %d in\n%s", err, test.port, text)
			}
			if o := (&run{dir: dir, args: "validate -f DIR"}).do(t); o.exit != 0 {
				t.Errorf("validate: exit %d, %s", o.exit, o.stderr)
			}
		})
	}
}

// A manifest that is there, wherever deploy looks, is never changed.
func TestInit_ChangesNothingThatIsThere(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"runway.yml", "runway-staging.yml", ".runway/runway.yml", ".runway/web/default-values.yaml", "default-values.yml", ".runway/eks-service-staging.yaml"} {
		dir := filepath.Join(t.TempDir(), "a[b]") // which is a pattern of other names
		path := filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("mine"), 0o644); err != nil {
			t.Fatal(err)
		}
		o := (&run{dir: dir, args: "init web --dir DIR"}).do(t)
		if want := "RW-8108 DIR/" + file + " is already there\n"; o.exit != exitUsage || !strings.HasSuffix(o.stderr, want) {
			t.Errorf("%s: exit %d, stderr %q, want %q", file, o.exit, o.stderr, want)
		}
		if fix := "fix: check it: runwayctl validate -f DIR/" + file + "\n"; !strings.Contains(o.stderr, fix) {
			t.Errorf("%s: stderr %q, want %q", file, o.stderr, fix)
		}
		if text, err := os.ReadFile(path); err != nil || string(text) != "mine" {
			t.Errorf("%s now has %q (%v)", file, text, err)
		}
	}
}

// An env file is no manifest: it gets one.
func TestInit_WritesBesideAnEnvFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, ".runway"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, ".runway", "env-production.yml"), []byte("A: 1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{"init web --dir DIR", "validate -f DIR"} {
		if o := (&run{dir: dir, args: args}).do(t); o.exit != 0 {
			t.Errorf("%s: exit %d, %s", args, o.exit, o.stderr)
		}
	}
}

// What is shown as next is said of the folder that was named.
func TestInit_NamesItsFolderInTheNextStep(t *testing.T) {
	t.Parallel()
	o := (&run{dir: t.TempDir(), args: "init web --dir DIR"}).do(t)
	if want := "next: runwayctl validate -f DIR, then runwayctl deploy -f DIR --image IMAGE\n"; !strings.HasSuffix(o.stdout, want) {
		t.Errorf("stdout %q, want at its end %q", o.stdout, want)
	}
}

func TestInit_RefusesBadNames(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := (&run{dir: dir, args: "init Web_1 --dir DIR"}).do(t)
	if want := "RW-8101 service name \"Web_1\" is not a DNS label in lower case\n"; o.exit != exitRejected || !strings.HasSuffix(o.stderr, want) {
		t.Errorf("exit %d, stderr %q, want %q", o.exit, o.stderr, want)
	}
	if _, err := os.Stat(filepath.Join(dir, ".runway")); err == nil {
		t.Error("a folder was made all the same")
	}
}
