package logs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// lineBytes is where docker cuts a line in two.
const lineBytes = 16 << 10

// Line is one line of output.
type Line struct {
	// At is when the collector read it.
	At   time.Time
	Text string
	// Late is true when the line was written while nobody read, so that At is too late.
	Late bool
}

// record is a line as docker's json-file driver writes it. The runtime writes both streams to one spool, so all is stdout.
type record struct {
	Log    string            `json:"log"`
	Stream string            `json:"stream"`
	Attrs  map[string]string `json:"attrs,omitempty"`
	Time   time.Time         `json:"time"`
}

var lateAttrs = map[string]string{"late": "true"}

// encode appends one record to out. text has its newline, or none when a line was cut.
func encode(out *bytes.Buffer, text []byte, at time.Time, late bool) error {
	r := record{Log: string(text), Stream: "stdout", Time: at.UTC()}
	if late {
		r.Attrs = lateAttrs
	}
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(r); err != nil {
		return fmt.Errorf("encode log line: %w", err)
	}
	return nil
}

// decode reports false for a line that a crash left torn.
func decode(text []byte) (Line, bool) {
	var r record
	if err := json.Unmarshal(text, &r); err != nil {
		return Line{}, false
	}
	return Line{At: r.Time, Text: strings.TrimSuffix(r.Log, "\n"), Late: r.Attrs["late"] == "true"}, true
}
