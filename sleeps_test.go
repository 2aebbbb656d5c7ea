package runway_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"testing"
)

// A sleep waits too long on one machine and not long enough on another. In a
// bubble of testing/synctest it costs nothing and ends at a known moment.
func TestSleeps(t *testing.T) {
	t.Parallel()
	positions := token.NewFileSet()
	folders := map[string][]*ast.File{}
	for _, path := range sources(t) {
		file, err := parser.ParseFile(positions, path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatalf("parse %s: %v", path, err)
		}
		folders[filepath.Dir(path)] = append(folders[filepath.Dir(path)], file)
	}
	for _, files := range folders {
		for _, sleep := range sleepsOutsideBubbles(files) {
			t.Errorf("%s: time.Sleep outside a bubble: wait for a condition until a deadline, or run under testing/synctest",
				positions.Position(sleep.Pos()))
		}
	}
}

// The checker must be able to fail.
func TestSleeps_RuleRefusesWhatItShould(t *testing.T) {
	t.Parallel()
	const bubble = "func inBubble(f func()) { synctest.Test(nil, f) }\n"
	for code, want := range map[string]int{
		"func a() { time.Sleep(1) }":                                                   1,
		bubble + "func a() { go func() { time.Sleep(1) }() }":                          1,
		bubble + "func a() { inBubble(func() { time.Sleep(1); time.Sleep(2) }) }":      0,
		bubble + "func b() { inBubble(nil) }\nfunc a() { b(); time.Sleep(1) }":         0,
		"func a() { synctest.Test(nil, func() { time.Sleep(1) }) }":                    0,
		"func (r rig) until() { synctest.Wait(); time.Sleep(1) }":                      0,
		"func (r rig) until() { synctest.Wait() }\nfunc (r rig) a() { time.Sleep(1) }": 1,
	} {
		file, err := parser.ParseFile(token.NewFileSet(), "a_test.go", "package a\n"+code, parser.SkipObjectResolution)
		if err != nil {
			t.Fatalf("parse %q: %v", code, err)
		}
		if got := len(sleepsOutsideBubbles([]*ast.File{file})); got != want {
			t.Errorf("%q: %d sleeps refused, want %d", code, got, want)
		}
	}
}

// sleepsOutsideBubbles returns the sleeps of a folder's functions that neither
// use synctest, which ends a test that does so outside a bubble, nor call a
// function of the folder that opens one, itself or through others.
func sleepsOutsideBubbles(files []*ast.File) []ast.Node {
	functions := functionsOf(files)
	openers := openersOf(functions)
	var outside []ast.Node
	for _, f := range functions {
		if !openers[f.Name.Name] && len(calls(f, "synctest", "Wait")) == 0 {
			outside = append(outside, calls(f, "time", "Sleep")...)
		}
	}
	return outside
}

// openersOf names the functions that run something in a bubble.
func openersOf(functions []*ast.FuncDecl) map[string]bool {
	openers := map[string]bool{}
	for before := -1; before < len(openers); {
		before = len(openers)
		for _, f := range functions {
			if len(calls(f, "synctest", "Test")) > 0 || callsAny(f, openers) {
				openers[f.Name.Name] = true
			}
		}
	}
	return openers
}

func functionsOf(files []*ast.File) []*ast.FuncDecl {
	var all []*ast.FuncDecl
	for _, file := range files {
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok {
				all = append(all, f)
			}
		}
	}
	return all
}

// calls returns the uses of a package's functions.
func calls(f *ast.FuncDecl, of string, names ...string) []ast.Node {
	var found []ast.Node
	for n := range ast.Preorder(f) {
		if s, ok := n.(*ast.SelectorExpr); ok && slices.Contains(names, s.Sel.Name) {
			if x, ok := s.X.(*ast.Ident); ok && x.Name == of {
				found = append(found, s)
			}
		}
	}
	return found
}

func callsAny(f *ast.FuncDecl, names map[string]bool) bool {
	for n := range ast.Preorder(f) {
		if c, ok := n.(*ast.CallExpr); ok {
			if called, ok := c.Fun.(*ast.Ident); ok && names[called.Name] {
				return true
			}
		}
	}
	return false
}
