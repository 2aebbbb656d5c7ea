package manifest

import (
	"bytes"
	"errors"
	"regexp"
	"strconv"

	goccy "github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/parser"
)

const syntaxFix = "check indentation, quotes and colons there"

var (
	yamlError     = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)
	unknownAnchor = regexp.MustCompile(`^unknown anchor '([^']+)' referenced$`)
)

// placeSyntaxError makes a problem of a parse error. The parser names a line at
// best, and not always the right one, so a second one that keeps columns is asked
// where it stumbles.
func placeSyntaxError(path string, data []byte, err error) *Problem {
	at, message := position{line: 1, column: 1}, err.Error()
	if m := yamlError.FindStringSubmatch(message); m != nil {
		message = m[2]
		if line, convErr := strconv.Atoi(m[1]); convErr == nil {
			at.line = line
		}
	}
	if m := unknownAnchor.FindStringSubmatch(message); m != nil {
		at = positionAt(data, bytes.Index(data, []byte("*"+m[1])))
	}
	if place, ok := locateSyntaxError(data); ok {
		at = place
	}
	return syntax(path, at, "not valid YAML: "+message, syntaxFix)
}

const (
	// The locating parser takes quadratic time on hostile nesting; these bounds
	// hold real manifests and keep it below some milliseconds.
	maxLocateBytes    = 8 << 10
	maxLocateBrackets = 64
)

// locateSyntaxError asks the locating parser for line and column.
func locateSyntaxError(data []byte) (at position, ok bool) {
	if len(data) > maxLocateBytes || bytes.Count(data, []byte("["))+bytes.Count(data, []byte("{")) > maxLocateBrackets {
		return position{}, false
	}
	defer func() {
		if recover() != nil {
			at, ok = position{}, false
		}
	}()
	_, err := parser.ParseBytes(data, 0)
	var syntaxError *goccy.SyntaxError
	if !errors.As(err, &syntaxError) || syntaxError.Token == nil {
		return position{}, false
	}
	p := syntaxError.Token.Position
	return position{line: p.Line, column: p.Column}, true
}

// positionAt converts a byte offset.
func positionAt(data []byte, offset int) position {
	if offset < 0 {
		return position{line: 1, column: 1}
	}
	before := data[:offset]
	return position{line: 1 + bytes.Count(before, []byte("\n")), column: offset - bytes.LastIndexByte(before, '\n')}
}
