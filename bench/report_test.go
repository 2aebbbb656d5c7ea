package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestGoal_Broken(t *testing.T) {
	t.Parallel()
	free := goal{most: 10, tolerance: 0.1}
	tied := goal{most: 10, tolerance: 0.1, ratio: 2}
	for _, row := range []struct {
		name         string
		goal         goal
		value, floor float64
		want         bool
	}{
		{"met", free, 10, 0, false},
		{"missed within tolerance", free, 10.9, 0, false},
		{"missed", free, 11.1, 0, true},
		{"no goal", goal{}, 1e9, 1, false},
		{"slow machine, no more added", tied, 19, 9, false},
		{"slow machine, more added", tied, 21, 9, true},
		{"fast machine keeps the absolute goal", tied, 10.5, 1, false},
		{"fast machine", tied, 11.1, 1, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			if got := row.goal.broken(row.value, row.floor); got != row.want {
				t.Errorf("broken(%v, %v): got %t, want %t", row.value, row.floor, got, row.want)
			}
		})
	}
}

func sample() *report {
	r := &report{}
	r.add(row{what: "fast", unit: seconds, measured: 0.1, floor: 0.05, goal: goal{most: 0.2}})
	r.add(row{what: "slow", unit: seconds, measured: 0.5, floor: 0.1, goal: goal{most: 0.2}, detail: []string{"all of it in the disk"}})
	r.add(row{what: "small", unit: bytes, measured: 1.5 * mega})
	return r
}

func TestReport_Print(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	sample().print(&text)
	want := `what   measured  floor    ratio  goal     
fast   0.100 s   0.050 s  2.00   0.200 s  ok
slow   0.500 s   0.100 s  5.00   0.200 s  MISSED
small  1.50 MB   -        -      -        

slow
  all of it in the disk
`
	if text.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", text.String(), want)
	}
}

func TestReport_CheckNamesWhatIsMissed(t *testing.T) {
	t.Parallel()
	err := sample().check()
	if err == nil || !strings.HasPrefix(err.Error(), "slow: 0.500 s, goal 0.200 s, floor 0.100 s") || strings.Contains(err.Error(), "fast") {
		t.Errorf("check: got %v, want slow alone", err)
	}
}

func TestReport_Write(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "results", "run.json")
	if err := sample().write(path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got struct{ Figures []figure }
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Figures) != 3 || got.Figures[1].Ratio != 5 || !got.Figures[1].Missed || got.Figures[0].Missed {
		t.Errorf("figures: got %+v", got.Figures)
	}
}

func TestSummarise(t *testing.T) {
	t.Parallel()
	same := func(d time.Duration) time.Duration { return d }
	got := summarise([]time.Duration{3 * time.Second, time.Second, 2 * time.Second}, same)
	if want := (summary{time.Second, 2 * time.Second, 3 * time.Second}); got != want {
		t.Errorf("summary: got %+v, want %+v", got, want)
	}
	if got := summarise(nil, same); got != (summary{}) {
		t.Errorf("summary of nothing: got %+v", got)
	}
}
