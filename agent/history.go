package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// history is what the agent remembers of a replica and cannot see on the machine. It outlives the agent's restart. Losing it
// is safe: the replica is then treated as one that was never ready.
type history struct {
	// Attempt counts restarts in place. Created is true from the moment its container may exist.
	Attempt int
	Created bool
	// FirstSeen is when the assignment arrived; the start budget counts from it.
	FirstSeen time.Time
	// WasReady is true once any attempt was ready.
	WasReady bool
	// ReadySince is when the present attempt became ready; zero while it is not. ReadyAt is the first time of this attempt.
	ReadySince, ReadyAt time.Time
	// EarlyExits counts attempts that ended before the replica was ever ready.
	EarlyExits int
	// Refusals counts containers that the runtime would not make or start.
	Refusals int
	// Crashes counts ends in a row without healthyAfter of readiness in between; it sets the back-off.
	Crashes int
	// NotBefore is when the next attempt may start.
	NotBefore time.Time
	// Retries counts failures of the present step in a row; RetryAt is when it is tried again, and Trouble its cause.
	Retries int
	RetryAt time.Time
	Trouble *cause
	// Condemned says why the present attempt must end, although it runs.
	Condemned *cause
	// TermAt and KillAt are when the present attempt was sent SIGTERM and SIGKILL.
	TermAt, KillAt time.Time
	// OOMKills is how many processes of the present attempt were seen killed for memory, and OOMAt when the last was seen.
	OOMKills int64
	OOMAt    time.Time
	// ExitCode, OOM and LastCause describe the attempt that ended last.
	ExitCode  int
	OOM       bool
	LastCause *cause
	// Failure is why the agent gave up; the coordinator must decide.
	Failure *cause
}

// begin starts the next attempt with a clean slate.
func (h *history) begin() {
	h.Attempt++
	h.Created = false
	h.ReadySince, h.ReadyAt = time.Time{}, time.Time{}
	h.TermAt, h.KillAt = time.Time{}, time.Time{}
	h.Condemned, h.OOMKills, h.OOMAt = nil, 0, time.Time{}
	h.clearTrouble()
}

func (h *history) clearTrouble() { h.Retries, h.RetryAt, h.Trouble = 0, time.Time{}, nil }

func historiesPath(folder string) string { return filepath.Join(folder, "replicas") }

// saveHistories is not durable against a loss of power: no container outlives that either.
func saveHistories(folder string, all map[string]history) error {
	payload, err := json.Marshal(all)
	if err != nil {
		return fmt.Errorf("encode replica histories: %w", err)
	}
	return writeFile(historiesPath(folder), payload, false)
}

// loadHistories returns an empty map when there is no file.
func loadHistories(folder string) (map[string]history, error) {
	all := map[string]history{}
	payload, err := readFile(historiesPath(folder))
	if errors.Is(err, os.ErrNotExist) {
		return all, nil
	}
	if err != nil {
		return all, fmt.Errorf("load replica histories: %w", err)
	}
	if err := json.Unmarshal(payload, &all); err != nil {
		return map[string]history{}, fmt.Errorf("load replica histories: %w: %w", ErrCorrupt, err)
	}
	return all, nil
}
