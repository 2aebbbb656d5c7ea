package caddy

import (
	"context"
	"log/slog"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap/zapcore"
)

func init() { caddy.RegisterModule(logCore{}) }

// logCore hands what Caddy logs to the site's logger. The reverse proxy adds
// fields for every request and nearly never logs: fields are encoded only then.
type logCore struct {
	log    *slog.Logger
	fields []zapcore.Field
}

// CaddyModule says how Caddy makes a logCore.
func (logCore) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "caddy.logging.cores.runway", New: func() caddy.Module { return new(logCore) }}
}

// Provision ties the core to the running site.
func (c *logCore) Provision(caddy.Context) error {
	cfg, err := currentSite()
	if err == nil {
		c.log = cfg.Log.With("component", "caddy")
	}
	return err
}

// zapcore.Core

// Enabled tells whether a level is of interest; below are Caddy's own affairs.
func (c *logCore) Enabled(level zapcore.Level) bool { return level >= zapcore.WarnLevel }

// With returns a core that adds the fields to every entry.
func (c *logCore) With(fields []zapcore.Field) zapcore.Core {
	return &logCore{log: c.log, fields: append(slices.Clip(c.fields), fields...)}
}

// Check adds the core to the entry when its level is of interest.
func (c *logCore) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(entry.Level) {
		return checked.AddCore(entry, c)
	}
	return checked
}

// Write logs one entry.
func (c *logCore) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	level := slog.LevelWarn
	if entry.Level >= zapcore.ErrorLevel {
		level = slog.LevelError
	}
	args := append(attributes(append(slices.Clip(c.fields), fields...)), slog.String("logger", entry.LoggerName), slog.String("said", entry.Message))
	c.log.Log(context.Background(), level, "caddy reports", args...)
	return nil
}

// Sync does nothing: entries are not buffered.
func (c *logCore) Sync() error { return nil }

func attributes(fields []zapcore.Field) []any {
	encoder := zapcore.NewMapObjectEncoder()
	for _, field := range fields {
		field.AddTo(encoder)
	}
	args := make([]any, 0, len(encoder.Fields))
	for key, value := range encoder.Fields {
		args = append(args, slog.Any(key, value))
	}
	return args
}

var (
	_ caddy.Provisioner = (*logCore)(nil)
	_ zapcore.Core      = (*logCore)(nil)
)
