package consensus

import (
	"context"
	"io"
	"log/slog"

	"github.com/hashicorp/go-hclog"
)

// raftLogger gives raft's messages to our logger. Its Info is our Debug: elections
// and snapshots are logged by us where an operator would ask.
func raftLogger(log *slog.Logger) hclog.Logger {
	logger := hclog.NewInterceptLogger(&hclog.LoggerOptions{Output: io.Discard, Level: hclog.Off})
	logger.RegisterSink(logSink{log.With("part", "raft")})
	return logger
}

// logSink implements hclog.SinkAdapter.
type logSink struct{ log *slog.Logger }

// Accept implements hclog.SinkAdapter.
func (s logSink) Accept(_ string, level hclog.Level, message string, args ...any) {
	s.log.Log(context.Background(), slogLevel(level), message, args...) //nolint:sloglint // the library's words
}

// slogLevel: raft warns of what it retries by itself, and errors of a member that
// it cannot reach are no defect of this one.
func slogLevel(level hclog.Level) slog.Level {
	switch level {
	case hclog.Error:
		return slog.LevelWarn
	case hclog.Warn:
		return slog.LevelInfo
	default:
		return slog.LevelDebug
	}
}
