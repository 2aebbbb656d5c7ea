package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "runwayctl.yml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoad_SingleContext(t *testing.T) {
	t.Parallel()
	path := write(t, "address: 127.0.0.1:7443\nca: ca.crt\ntoken: secret\n")
	f, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	got, err := f.Select("")
	if err != nil {
		t.Fatal(err)
	}
	want := Context{Name: DefaultContext, Address: "127.0.0.1:7443", CA: filepath.Join(filepath.Dir(path), "ca.crt"), Token: "secret"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("context (-want +got):\n%s", diff)
	}
}

func TestSelect_ByName(t *testing.T) {
	t.Parallel()
	f := &File{Current: "b", Contexts: []Context{{Name: "a", Address: "1"}, {Name: "b", Address: "2"}}}
	for name, want := range map[string]string{"": "2", "a": "1", "b": "2"} {
		if c, err := f.Select(name); err != nil || c.Address != want {
			t.Errorf("Select(%q) = %v, %v, want address %s", name, c, err, want)
		}
	}
	if _, err := f.Select("c"); !errors.Is(err, ErrNoContext) {
		t.Errorf("Select(c) error %v, want ErrNoContext", err)
	}
	if _, err := (&File{}).Select(""); !errors.Is(err, ErrNoContext) {
		t.Errorf("Select of an empty file: %v, want ErrNoContext", err)
	}
}

func TestSave_IsPrivateAndRoundTrips(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "new", "runwayctl.yml")
	want := &File{Current: "a", Contexts: []Context{{Name: "a", Address: "h:1", CA: "/x/ca.crt", Token: "s", Space: "shop", Environment: "staging"}}}
	for range 2 {
		if err := want.Save(path); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v, want 0600", info.Mode(), err)
	}
	got, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("file (-want +got):\n%s", diff)
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".runwayctl-*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestLoad_Refuses(t *testing.T) {
	t.Parallel()
	if _, err := Load(filepath.Join(t.TempDir(), "absent")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent file: %v", err)
	}
	for _, text := range []string{"- a\n", "adress: x\n", "address: [\n", strings.Repeat("#", maxFileBytes+1)} {
		if f, err := Load(write(t, text)); err == nil {
			t.Errorf("Load(%.20q) = %v, want an error", text, f)
		}
	}
	if f, err := Load(write(t, "")); err != nil || len(f.All()) != 0 {
		t.Errorf("empty file: %v, %v, want no contexts", f, err)
	}
}

func TestExposed(t *testing.T) {
	t.Parallel()
	path := write(t, "")
	for mode, want := range map[os.FileMode]bool{0o600: false, 0o400: false, 0o640: true, 0o604: true} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if got, err := Exposed(path); err != nil || got != want {
			t.Errorf("Exposed of %o = %t, %v, want %t", mode, got, err, want)
		}
	}
	if got, err := Exposed(path + "x"); err != nil || got {
		t.Errorf("Exposed of an absent file = %t, %v", got, err)
	}
}
