package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"text/tabwriter"
	"time"
)

// unit says how a figure is printed.
type unit string

const (
	seconds unit = "s"
	bytes   unit = "MB"
	share   unit = "x"
)

// row is one figure and what it is held against.
type row struct {
	what     string
	measured float64
	floor    float64 // 0 for none
	unit     unit
	goal     goal
	// detail says more about a figure: its spread, or where the time goes.
	detail []string
}

// report is all figures of a run, in the order of measuring.
type report struct{ rows []row }

func (r *report) add(one row) { r.rows = append(r.rows, one) }

// print writes the table, then where the time goes for each missed goal.
func (r *report) print(to io.Writer) {
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "what\tmeasured\tfloor\tratio\tgoal\t")
	for _, one := range r.rows {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", one.what, one.unit.format(one.measured),
			one.optional(one.floor), one.ratio(), one.optional(one.goal.most), one.verdict())
	}
	table.Flush() //nolint:errcheck // a terminal that is gone
	for _, one := range r.rows {
		if len(one.detail) == 0 {
			continue
		}
		fmt.Fprintf(to, "\n%s\n", one.what)
		for _, line := range one.detail {
			fmt.Fprintln(to, "  "+line)
		}
	}
}

// check fails when a goal is missed by more than its tolerance.
func (r *report) check() error {
	var problems []error
	for _, one := range r.rows {
		if one.goal.broken(one.measured, one.floor) {
			problems = append(problems, fmt.Errorf("%s: %s, goal %s, floor %s, tolerance %.0f %% (%s)", one.what, one.unit.format(one.measured),
				one.unit.format(one.goal.most), one.optional(one.floor), 100*one.goal.tolerance, one.goal.why))
		}
	}
	return errors.Join(problems...)
}

// figure is a row for machines: seconds, bytes or shares.
type figure struct {
	What     string   `json:"what"`
	Unit     unit     `json:"unit"`
	Measured float64  `json:"measured"`
	Floor    float64  `json:"floor,omitempty"`
	Ratio    float64  `json:"ratio,omitempty"`
	Goal     float64  `json:"goal,omitempty"`
	Missed   bool     `json:"missed,omitempty"`
	Detail   []string `json:"detail,omitempty"`
}

// write keeps the figures in a file.
func (r *report) write(path string) error {
	file := struct {
		At      time.Time `json:"at"`
		Cores   int       `json:"cores"`
		Figures []figure  `json:"figures"`
	}{At: time.Now().UTC().Truncate(time.Second), Cores: runtime.NumCPU()}
	for _, one := range r.rows {
		f := figure{What: one.what, Unit: one.unit, Measured: one.measured, Floor: one.floor, Goal: one.goal.most,
			Missed: one.goal.exceeded(one.measured), Detail: one.detail}
		if one.floor != 0 {
			f.Ratio = one.measured / one.floor
		}
		file.Figures = append(file.Figures, f)
	}
	text, err := json.MarshalIndent(file, "", "  ")
	if err != nil {
		return fmt.Errorf("encode figures: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("write figures: %w", err)
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("write figures: %w", err)
	}
	return nil
}

func (one row) ratio() string {
	if one.floor == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", one.measured/one.floor)
}

func (one row) optional(value float64) string {
	if value == 0 {
		return "-"
	}
	return one.unit.format(value)
}

func (one row) verdict() string {
	switch {
	case one.goal.most == 0:
		return ""
	case one.goal.exceeded(one.measured):
		return "MISSED"
	}
	return "ok"
}

func (u unit) format(value float64) string {
	switch u {
	case bytes:
		return fmt.Sprintf("%.2f MB", value/mega)
	case share:
		return fmt.Sprintf("%.3f", value)
	}
	if value < 0.001 {
		return fmt.Sprintf("%.0f us", value*mega)
	}
	return fmt.Sprintf("%.3f s", value)
}
