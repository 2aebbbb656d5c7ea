package main

import (
	"runtime/debug"

	"github.com/runway-platform/runway/cli"
)

// version is set by the linker for releases: -ldflags "-X main.version=v1.2.3".
var version string

// build says which build this is, from the linker and from what Go recorded.
func build() cli.Build {
	b := cli.Build{Version: version, Commit: "unknown"}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	b.Go = info.GoVersion
	if b.Version == "" {
		b.Version = info.Main.Version
	}
	dirty := ""
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.modified":
			if s.Value == "true" {
				dirty = " (modified)"
			}
		}
	}
	b.Commit += dirty
	return b
}
