package caddy

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"go.uber.org/zap"
)

func TestLogCore_HandsOverWhatMatters(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := zap.New(&logCore{log: slog.New(slog.NewTextHandler(&out, nil))})
	base := log.Named("http").With(zap.String("a", "1"))
	base.Info("not this")
	base.With(zap.Int("b", 2)).Warn("this", zap.Bool("c", true))
	base.Error("and this")
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("logged %q, want two lines", lines)
	}
	for i, wants := range [][]string{
		{"level=WARN", "a=1", "b=2", "c=true", "logger=http", "said=this"},
		{"level=ERROR", "a=1", `said="and this"`},
	} {
		for _, want := range wants {
			if !strings.Contains(lines[i], want) {
				t.Errorf("line %q lacks %s", lines[i], want)
			}
		}
	}
	if strings.Contains(lines[1], "b=2") {
		t.Errorf("line %q has a field of another logger", lines[1])
	}
}
