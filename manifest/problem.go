package manifest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/runway-platform/runway/proto/code"
)

// Problem is one thing that is wrong with a file.
type Problem struct {
	// File is the path as it was given or found.
	File string
	// Line and Column count from 1; both are 0 when the whole file is meant.
	Line, Column int
	Code         code.Code
	// Message says what is wrong, with the value found.
	Message string
	// Fix says what to write instead.
	Fix string
}

// Place returns FILE:LINE:COLUMN, or FILE alone for a problem without a line.
func (p Problem) Place() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Error returns place, code, message and fix in one line.
func (p Problem) Error() string {
	text := fmt.Sprintf("%s: %s %s", p.Place(), p.Code, p.Message)
	if p.Fix != "" {
		text += "; " + p.Fix
	}
	return strings.TrimPrefix(text, ": ")
}

// Errors is all that is wrong with the files of one manifest, sorted by place.
// It is never empty when it is returned as an error.
type Errors []Problem

// Error returns one line per problem.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, p := range e {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// maxProblems bounds the answer to a file that is wrong everywhere; nobody reads
// further.
const maxProblems = 50

// collector gathers the problems of the files of a manifest.
type collector struct {
	// file is the one that is being read, files are all so far.
	file     string
	files    []string
	problems Errors
}

// enter says that the next problems are of a file.
func (c *collector) enter(file string) {
	c.file, c.files = file, append(c.files, file)
}

func (c *collector) full() bool { return len(c.problems) >= maxProblems }

func (c *collector) add(at position, id code.Code, message, fix string) {
	if c.full() {
		return
	}
	c.problems = append(c.problems, Problem{
		File: cmp.Or(at.file, c.file), Line: at.line, Column: at.column, Code: id, Message: message, Fix: fix,
	})
}

// sorted returns the problems by place.
func (c *collector) sorted() Errors {
	slices.SortStableFunc(c.problems, func(a, b Problem) int {
		return cmp.Or(
			cmp.Compare(slices.Index(c.files, a.File), slices.Index(c.files, b.File)),
			cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column),
		)
	})
	return c.problems
}

// position is a place in a file, counted from 1. Without a file it is in the one that
// is being read.
type position struct {
	file         string
	line, column int
}
