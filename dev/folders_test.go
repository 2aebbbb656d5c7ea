package dev

import (
	"os"
	"path/filepath"
	"testing"
)

// Of the folders that all containerds of a machine share, those go with the cluster that
// were made for it and serve nobody.
func TestFolders_OnlyOursAreRemoved(t *testing.T) {
	t.Parallel()
	c, run := valid(t), t.TempDir()
	at := func(name string) string { return filepath.Join(run, name) }
	shared := []string{at("others"), at("ours"), at("used"), at("later")}
	makeFolders(t, at("others"))
	if err := c.noteFolders(shared[:3]); err != nil {
		t.Fatal(err)
	}
	makeFolders(t, at("ours"), at("used/by-somebody"))
	if err := c.noteFolders(shared); err != nil { // the next start finds what the first has made
		t.Fatal(err)
	}
	makeFolders(t, at("later"))
	for range 2 {
		if err := c.removeFolders(); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]bool{"others": true, "ours": false, "used": true, "later": false} {
		if _, err := os.Stat(at(name)); (err == nil) != want {
			t.Errorf("folder %q is there: %t, want %t", name, err == nil, want)
		}
	}
}

func TestFolders_WithoutANoteNothingIsRemoved(t *testing.T) {
	t.Parallel()
	if err := valid(t).removeFolders(); err != nil {
		t.Error(err)
	}
}

func makeFolders(t *testing.T, folders ...string) {
	t.Helper()
	for _, folder := range folders {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			t.Fatal(err)
		}
	}
}
