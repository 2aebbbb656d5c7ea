package cli

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// table is rows of columns. Columns of the wide format are marked by only.
type table struct {
	wide, headless bool
	lines          []line
	// listing is true below a head: each row is one of many.
	listing bool
}

// line is one line of a table; columns are separated by tabs.
type line struct {
	text string
	// listed is a row of a list. It may be cut: what it says in full is in the wide
	// format. A property or a sentence is never cut.
	listed bool
}

func (a *app) showTable(view func(t *table)) error {
	t := &table{wide: a.wide(), headless: a.globals.noHeaders}
	view(t)
	return t.write(a.Stdout, a.columns())
}

// columns is how wide a row of a list may be; 0 for any width. Programs, and who asked for
// everything, get whole rows.
func (a *app) columns() int {
	if !a.StdoutTerminal || a.wide() {
		return 0
	}
	return a.Width
}

// head begins a list with the names of its columns.
func (t *table) head(cells ...string) {
	t.listing = true
	if !t.headless {
		t.row(cells...)
	}
}

// row writes one line. An empty cell is shown as a hyphen, so that columns can be
// cut out by programs.
func (t *table) row(cells ...string) {
	for i, c := range cells {
		if c = oneLine(c); c == "" {
			c = "-"
		}
		cells[i] = c
	}
	t.lines = append(t.lines, line{strings.Join(cells, "\t"), t.listing})
}

// text writes a line without columns, and ends a list.
func (t *table) text(text string) {
	t.listing = false
	t.lines = append(t.lines, line{text: clean(text)})
}

// only returns cells in the wide format and nothing otherwise.
func (t *table) only(cells ...string) []string {
	if t.wide {
		return cells
	}
	return nil
}

// write aligns the columns and cuts the rows of lists to a width, if there is one.
func (t *table) write(w io.Writer, columns int) error {
	var aligned, fitted bytes.Buffer
	const padding = 2
	aligner := tabwriter.NewWriter(&aligned, 0, 8, padding, ' ', 0)
	for _, l := range t.lines {
		fmt.Fprintln(aligner, l.text) //nolint:errcheck // Returned by Flush.
	}
	if err := aligner.Flush(); err != nil {
		return fmt.Errorf("align table: %w", err)
	}
	for _, l := range t.lines {
		text, err := aligned.ReadString('\n')
		if err != nil {
			return fmt.Errorf("align table: %w", err)
		}
		if l.listed && columns > 0 {
			text = fit(strings.TrimSuffix(text, "\n"), columns) + "\n"
		}
		fitted.WriteString(text)
	}
	_, err := w.Write(fitted.Bytes())
	return err
}

// fit cuts a text that is wider than columns and marks that.
func fit(text string, columns int) string {
	runes := []rune(text)
	if len(runes) <= columns {
		return text
	}
	return strings.TrimRight(string(runes[:columns-1]), " ") + "…"
}
