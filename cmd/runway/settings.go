package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	yaml "go.yaml.in/yaml/v3"
)

// configFlag has no variable: RUNWAY_CONFIG names the file of runwayctl.
const configFlag = "config"

// fromFileAndEnvironment gives every flag of the command two more sources. A flag
// that is typed wins over RUNWAY_NAME in the environment, which wins over the key
// of the same name in the YAML file of --config.
func fromFileAndEnvironment(cmd *cobra.Command) {
	file := cmd.Flags().String(configFlag, "", "YAML file with a key for each flag")
	level := cmd.Flags().String("log-level", "info", "debug, info, warn or error")
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if err := applyEnvironment(cmd.Flags()); err != nil {
			return err
		}
		if err := applyFile(cmd.Flags(), *file); err != nil {
			return err
		}
		return setLogLevel(*level)
	}
}

func applyEnvironment(flags *pflag.FlagSet) error {
	var problems []error
	flags.VisitAll(func(f *pflag.Flag) {
		name := variable(f.Name)
		value, ok := os.LookupEnv(name)
		if !ok || f.Changed || f.Name == configFlag {
			return
		}
		if err := flags.Set(f.Name, value); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", name, err))
		}
	})
	return errors.Join(problems...)
}

// variable is the environment variable of a flag.
func variable(flag string) string {
	return "RUNWAY_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

func applyFile(flags *pflag.FlagSet, path string) error {
	if path == "" {
		return nil
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	var values map[string]any
	if err := yaml.Unmarshal(content, &values); err != nil {
		return fmt.Errorf("read configuration %s: %w", path, err)
	}
	var problems []error
	for name, value := range values {
		if err := setFromFile(flags, name, value); err != nil {
			problems = append(problems, fmt.Errorf("%s: key %q: %w", path, name, err))
		}
	}
	return errors.Join(problems...)
}

func setFromFile(flags *pflag.FlagSet, name string, value any) error {
	f := flags.Lookup(name)
	if f == nil || name == configFlag {
		return errors.New("there is no such setting; see --help")
	}
	if f.Changed {
		return nil
	}
	switch value := value.(type) {
	case nil:
		return errors.New("has no value: write one, or remove the key for the default")
	case []any:
		return setList(f, value)
	case map[string]any:
		return setMap(flags, f, value)
	default:
		return flags.Set(name, fmt.Sprint(value))
	}
}

// setList replaces the default, so that an empty list is one.
func setList(f *pflag.Flag, items []any) error {
	list, ok := f.Value.(pflag.SliceValue)
	if !ok {
		return errors.New("is no list: write one value")
	}
	texts := make([]string, len(items))
	for i, item := range items {
		texts[i] = fmt.Sprint(item)
	}
	f.Changed = true
	return list.Replace(texts)
}

// setMap sets a flag of the form key=value once for each.
func setMap(flags *pflag.FlagSet, f *pflag.Flag, entries map[string]any) error {
	if f.Value.Type() != "stringToString" {
		return errors.New("has no keys of its own: write one value")
	}
	for key, value := range entries {
		if value == nil {
			return fmt.Errorf("%s has no value", key)
		}
		if err := flags.Set(f.Name, key+"="+fmt.Sprint(value)); err != nil {
			return err
		}
	}
	return nil
}

// logLevel is shared with the logger, so that a flag can change it after start.
var logLevel = new(slog.LevelVar)

func setLogLevel(name string) error {
	var level slog.Level
	if err := level.UnmarshalText([]byte(name)); err != nil {
		return fmt.Errorf("log-level %q: choose debug, info, warn or error", name)
	}
	logLevel.Set(level)
	return nil
}

// newLogger writes to stderr, so that stdout keeps what people wait for.
func newLogger() *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: logLevel}))
}
