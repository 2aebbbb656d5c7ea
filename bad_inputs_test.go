package runway_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// badInput is something wrong that a person, a program or a machine hands to Runway.
// The answer to each is a clear error with a code, and nothing is lost: the state is
// as before, the process lives, and the next good input is taken.
type badInput struct {
	id, input string
	// cases are the tests that hand it over, as "folder Test" or "folder Test/row": the
	// row is a string of the folder's tests. The first one shows the answer.
	cases []string
	// notBuilt is the feature that the input is for, while there is none.
	notBuilt string
}

// testsOf is what the test files of a folder declare.
type testsOf struct {
	functions map[string]bool
	strings   map[string]bool
}

// TestBadInputs fails for an input without a case, and for a case that is not there.
func TestBadInputs(t *testing.T) {
	t.Parallel()
	folders := declaredTests(t)
	seen := map[string]bool{}
	for _, one := range badInputs {
		if seen[one.id] {
			t.Errorf("%s: the id is used twice", one.id)
		}
		seen[one.id] = true
		for _, problem := range one.problems(folders) {
			t.Errorf("%s (%s): %s", one.id, one.input, problem)
		}
	}
}

// The checker must be able to fail.
func TestBadInputs_RuleRefusesWhatItShould(t *testing.T) {
	t.Parallel()
	folders := map[string]testsOf{"a": {functions: map[string]bool{"TestX": true}, strings: map[string]bool{"row": true}}}
	for name, test := range map[string]struct {
		give badInput
		want int
	}{
		"a test":                {badInput{id: "x-1", input: "i", cases: []string{"a TestX"}}, 0},
		"a row":                 {badInput{id: "x-1", input: "i", cases: []string{"a TestX/row"}}, 0},
		"not built":             {badInput{id: "x-1", input: "i", notBuilt: "secrets"}, 0},
		"no case":               {badInput{id: "x-1", input: "i"}, 1},
		"both":                  {badInput{id: "x-1", input: "i", cases: []string{"a TestX"}, notBuilt: "secrets"}, 1},
		"an unknown test":       {badInput{id: "x-1", input: "i", cases: []string{"a TestY"}}, 1},
		"an unknown row":        {badInput{id: "x-1", input: "i", cases: []string{"a TestX/other"}}, 1},
		"an unknown folder":     {badInput{id: "x-1", input: "i", cases: []string{"b TestX"}}, 1},
		"an odd id":             {badInput{id: "X 1", input: "i", cases: []string{"a TestX"}}, 1},
		"nothing said of input": {badInput{id: "x-1", cases: []string{"a TestX"}}, 1},
	} {
		if got := test.give.problems(folders); len(got) != test.want {
			t.Errorf("%s: %q, want %d problems", name, got, test.want)
		}
	}
}

var badInputID = regexp.MustCompile(`^[a-z]+(-[a-z0-9]+)+$`)

func (b badInput) problems(folders map[string]testsOf) []string {
	var found []string
	if !badInputID.MatchString(b.id) {
		found = append(found, "the id is not of the form subject-what")
	}
	if b.input == "" {
		found = append(found, "nothing says what is handed over")
	}
	if (len(b.cases) == 0) == (b.notBuilt == "") {
		found = append(found, "it has either a case or a feature that is not built")
	}
	for _, one := range b.cases {
		folder, test, _ := strings.Cut(one, " ")
		test, row, _ := strings.Cut(test, "/")
		switch declared := folders[folder]; {
		case !declared.functions[test]:
			found = append(found, "there is no test "+test+" in "+folder)
		case row != "" && !declared.strings[row]:
			found = append(found, "the tests of "+folder+" have no row "+strconv.Quote(row))
		}
	}
	return found
}

// declaredTests reads the tests and fuzz targets of every folder, those of every
// build tag too.
func declaredTests(t *testing.T) map[string]testsOf {
	t.Helper()
	folders := map[string]testsOf{}
	for _, file := range sources(t) {
		if !strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatalf("parse %s: %v", file, err)
		}
		folder := path.Clean(filepath.ToSlash(filepath.Dir(file)))
		if folders[folder].functions == nil {
			folders[folder] = testsOf{functions: map[string]bool{}, strings: map[string]bool{}}
		}
		folders[folder].add(parsed)
	}
	return folders
}

func (f testsOf) add(file *ast.File) {
	for node := range ast.Preorder(file) {
		switch n := node.(type) {
		case *ast.FuncDecl:
			if n.Recv == nil && (strings.HasPrefix(n.Name.Name, "Test") || strings.HasPrefix(n.Name.Name, "Fuzz")) {
				f.functions[n.Name.Name] = true
			}
		case *ast.BasicLit:
			if n.Kind != token.STRING {
				continue
			}
			if text, err := strconv.Unquote(n.Value); err == nil {
				f.strings[text] = true
			}
		}
	}
}
