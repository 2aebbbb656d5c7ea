package main

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// settled runs a command that has a flag of every kind, and returns the flags as they
// came out.
func settled(t *testing.T, file string, args ...string) (map[string]any, error) {
	t.Helper()
	var name string
	var count int
	var on bool
	list, labels := []string{}, map[string]string{}
	cmd := &cobra.Command{Use: "part", SilenceErrors: true, SilenceUsage: true, RunE: func(*cobra.Command, []string) error { return nil }}
	cmd.Flags().StringVar(&name, "part-name", "default", "")
	cmd.Flags().IntVar(&count, "count", 1, "")
	cmd.Flags().BoolVar(&on, "on", false, "")
	cmd.Flags().StringSliceVar(&list, "list", []string{":80"}, "")
	cmd.Flags().StringToStringVar(&labels, "labels", nil, "")
	fromFileAndEnvironment(cmd)
	if file != "" {
		path := filepath.Join(t.TempDir(), "part.yml")
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--config", path)
	}
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(t.Context())
	return map[string]any{"part-name": name, "count": count, "on": on, "list": list, "labels": labels}, err
}

// A typed flag wins over the environment, which wins over the file, which wins over
// the default.
func TestSettings_FlagEnvironmentFileDefault(t *testing.T) {
	for _, test := range []struct {
		name, environment, file string
		args                    []string
		want                    string
	}{
		{"default", "", "", nil, "default"},
		{"file", "", "part-name: of-file\n", nil, "of-file"},
		{"environment", "of-environment", "part-name: of-file\n", nil, "of-environment"},
		{"flag", "of-environment", "part-name: of-file\n", []string{"--part-name", "of-flag"}, "of-flag"},
		{"flag that repeats the default", "of-environment", "part-name: of-file\n", []string{"--part-name", "default"}, "default"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.environment != "" {
				t.Setenv("RUNWAY_PART_NAME", test.environment)
			}
			got, err := settled(t, test.file, test.args...)
			if err != nil || got["part-name"] != test.want {
				t.Errorf("got %v, %v, want %q", got["part-name"], err, test.want)
			}
		})
	}
}

func TestSettings_FormsOfAFile(t *testing.T) {
	for _, test := range []struct {
		name, file, flag string
		want             any
	}{
		{"number", "count: 3", "count", 3},
		{"switch", "on: true", "on", true},
		{"empty text", `part-name: ""`, "part-name", ""},
		{"list", "list: [':81', ':82']", "list", []string{":81", ":82"}},
		{"an item with a comma is one item", "list: ['a,b']", "list", []string{"a,b"}},
		{"one value for a list", "list: ':81'", "list", []string{":81"}},
		{"empty list", "list: []", "list", []string{}},
		{"map", "labels: {zone: a, rack: 7}", "labels", map[string]string{"zone": "a", "rack": "7"}},
		{"map as text", "labels: zone=a", "labels", map[string]string{"zone": "a"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := settled(t, test.file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got[test.flag]); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestSettings_RefusesWithTheKey(t *testing.T) {
	for _, test := range []struct{ name, file, want string }{
		{"no value", "part-name:", `key "part-name": has no value`},
		{"no value in a map", "labels: {zone: }", `key "labels": zone has no value`},
		{"unknown", "prat-name: x", `key "prat-name": there is no such setting`},
		{"another file", "config: x.yml", `key "config": there is no such setting`},
		{"list for one value", "part-name: [a, b]", `key "part-name": is no list`},
		{"map for one value", "part-name: {a: b}", `key "part-name": has no keys of its own`},
		{"text for a number", "count: many", `key "count": invalid argument "many"`},
		{"log level", "log-level: loud", `log-level "loud": choose debug, info, warn or error`},
		{"no YAML", "part-name: [", "read configuration"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := settled(t, test.file)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
	t.Run("environment", func(t *testing.T) {
		t.Setenv("RUNWAY_COUNT", "many")
		if _, err := settled(t, ""); err == nil || !strings.Contains(err.Error(), "RUNWAY_COUNT: ") {
			t.Errorf("got %v, want the variable's name", err)
		}
	})
	t.Run("absent file", func(t *testing.T) {
		if _, err := settled(t, "", "--config", "/absent.yml"); err == nil || !strings.Contains(err.Error(), "read configuration: open /absent.yml") {
			t.Errorf("got %v", err)
		}
	})
}

// The variables of runwayctl mean something else: a shell that is set up for it must
// not set up an agent.
func TestSettings_ShareNoVariableWithRunwayctl(t *testing.T) {
	theirs := []string{
		"RUNWAY_ADDRESS", "RUNWAY_CA", "RUNWAY_TOKEN", "RUNWAY_TOKEN_FILE", "RUNWAY_CONTEXT", "RUNWAY_CONFIG",
		"RUNWAY_SPACE", "RUNWAY_ENVIRONMENT", "RUNWAY_OUTPUT", "RUNWAY_YES", "RUNWAY_QUIET", "RUNWAY_VERBOSE",
	}
	checked := 0
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			checked++
			if f.Name != configFlag && slices.Contains(theirs, variable(f.Name)) {
				t.Errorf("%s --%s is also set by %s of runwayctl", cmd.CommandPath(), f.Name, variable(f.Name))
			}
		})
		for _, child := range cmd.Commands() {
			walk(child)
		}
	}
	walk(newCommand())
	if checked < 60 {
		t.Errorf("only %d flags were looked at", checked)
	}
}

func TestSettings_LogLevelReachesTheLogger(t *testing.T) {
	t.Cleanup(func() { logLevel.Set(slog.LevelInfo) })
	if _, err := settled(t, "log-level: error"); err != nil {
		t.Fatal(err)
	}
	if log := newLogger(); log.Enabled(t.Context(), slog.LevelWarn) || !log.Enabled(t.Context(), slog.LevelError) {
		t.Error("the level of the file is not the logger's")
	}
}

// Every flag that fills a field says so for every command: no help text is empty.
func TestCommand_EveryFlagIsExplained(t *testing.T) {
	for _, cmd := range newCommand().Commands() {
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" {
				t.Error(fmt.Sprintf("%s --%s has no help", cmd.Name(), f.Name))
			}
		})
	}
}
