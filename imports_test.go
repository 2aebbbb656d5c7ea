package runway_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/runway-platform/runway"

// rule says which of our packages a room may import, and what it must never link.
type rule struct {
	room  string
	allow []string // prefixes below the module; the room itself is always allowed
	// forbid holds prefixes of packages that are not imported. Those with a dot,
	// which are modules, are not linked through others either.
	forbid []string
	why    string
}

// rules are looked up by the longest room that holds a package.
var rules = []rule{
	{"proto", nil, nil, "the contract depends on nothing that keeps it"},
	{"atomicfile", nil, nil, "every part keeps small files, and none of them owns how"},
	{"failpoint", nil, nil, "every part may break a promise on purpose, and none of them owns the list"},
	{"scheduler", nil, []string{"context", "log", "math/rand", "time", "os", "net", "github.com", "google.golang.org"},
		"packing is a pure function: the same input gives the same plan, in a test as on a leader"},
	{"provisioning", nil, nil, "what makes machines and spaces must be replaceable without the coordinator's state"},
	{"manifest", []string{"proto"}, nil, "a manifest is translated into the contract and nothing else"},
	{"agent", []string{"proto", "coordinator/client", "atomicfile", "failpoint"}, nil, "an agent can be replaced by anything that speaks the session"},
	{"ingress", []string{"proto", "coordinator/client", "atomicfile", "failpoint"}, nil, "an ingress can be replaced by anything that speaks the session"},
	{"coordinator/client", []string{"proto", "atomicfile"}, nil, "the one package of the coordinator that others may import"},
	{"coordinator/state", []string{"proto"}, []string{"log/slog", "math/rand"}, "tables hold what was decided; they decide nothing"},
	{"coordinator/command", []string{"proto", "coordinator/state", "coordinator/fleet"}, []string{"log/slog", "math/rand"},
		"applying a command is a pure function of the state and the command"},
	{"coordinator/consensus", []string{"proto", "coordinator/state", "coordinator/command", "coordinator/coordinatortest"}, nil,
		"the log does not know who decides"},
	{"coordinator/placement", controller("scheduler"), nil, meetInState},
	{"coordinator/deployment", controller(), nil, meetInState},
	{"coordinator/endpoint", controller("coordinator/names", "coordinator/presence"), nil, meetInState},
	{"coordinator/nodehealth", controller("coordinator/presence"), nil, meetInState},
	{"coordinator/reaper", controller(), nil, meetInState},
	{"coordinator/report", controller("coordinator/presence"), nil, meetInState},
	{"coordinator/tokens", controller(), nil, meetInState},
	{"coordinator/spaces", controller("provisioning"), nil, meetInState},
	{"coordinator", []string{"proto", "scheduler", "provisioning", "coordinator", "atomicfile", "failpoint"}, []string{"github.com/caddyserver", "github.com/coredns", "github.com/containerd/containerd"},
		"the coordinator decides; it runs no container and serves no request"},
	{"cli", []string{"proto", "manifest", "coordinator/client", "atomicfile"}, heavy, onClient},
	{"cmd/runwayctl", []string{"cli", "coordinator/client"}, heavy, onClient},
	{"dev", []string{"proto", "coordinator/client", "cli/config"}, nil, "it composes processes, not packages"},
	{"e2e", []string{"proto", "coordinator/client", "failpoint"}, nil, "a black box: real binaries only"},
	{"docs", nil, nil, "every part's tests make a page of it: it knows none of them"},
	{"cmd/runway", []string{""}, nil, "the composition root"},
	{"examples", nil, nil, "an example is somebody else's code"},
	{"bench", []string{""}, nil, "it measures whatever there is"},
}

const (
	meetInState = "controllers meet in the state and never call each other"
	onClient    = "the client is installed on every laptop: it starts fast and links no server"
)

// heavy is what the client must not link.
var heavy = []string{"github.com/caddyserver", "github.com/coredns", "github.com/containerd/containerd", "github.com/hashicorp/raft"}

// controller is what every controller may import, and more.
func controller(more ...string) []string {
	return append([]string{"proto", "coordinator/state", "coordinator/command", "coordinator/loop", "coordinator/fleet"}, more...)
}

type listed struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

func TestImports(t *testing.T) {
	for _, p := range list(t) {
		path := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
		r := ruleOf(path)
		if r == nil {
			if path != "" {
				t.Errorf("%s: no rule says what it may import; add one with its reason", path)
			}
			continue
		}
		for _, imported := range p.Imports {
			if !r.allows(imported) {
				t.Errorf("%s imports %s: %s", path, imported, r.why)
			}
		}
		for _, linked := range p.Deps {
			if slices.ContainsFunc(r.forbid, func(prefix string) bool { return strings.Contains(prefix, ".") && under(linked, prefix) }) {
				t.Errorf("%s links %s: %s", path, linked, r.why)
			}
		}
		for _, imported := range p.Imports {
			if slices.ContainsFunc(r.forbid, func(prefix string) bool { return under(imported, prefix) }) {
				t.Errorf("%s imports %s: %s", path, imported, r.why)
			}
		}
	}
}

// The checker must be able to fail.
func TestImports_RuleRefusesWhatItShould(t *testing.T) {
	for path, imported := range map[string]string{
		"coordinator/reaper": module + "/coordinator/placement",
		"agent/probe":        module + "/coordinator/state",
		"proto/runway/v1":    module + "/manifest",
	} {
		if ruleOf(path).allows(imported) {
			t.Errorf("%s may import %s", path, imported)
		}
	}
}

func (r *rule) allows(imported string) bool {
	inside, ours := strings.CutPrefix(imported, module+"/")
	if !ours || under(inside, r.room) {
		return true
	}
	return slices.ContainsFunc(r.allow, func(prefix string) bool { return prefix == "" || under(inside, prefix) })
}

func ruleOf(path string) *rule {
	var best *rule
	for i := range rules {
		if under(path, rules[i].room) && (best == nil || len(rules[i].room) > len(best.room)) {
			best = &rules[i]
		}
	}
	return best
}

func under(path, prefix string) bool {
	return path == prefix || strings.HasPrefix(path, prefix+"/")
}

func list(t *testing.T) []listed {
	t.Helper()
	output, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,Deps", "./...").Output()
	if err != nil {
		t.Fatalf("list packages: %v", err)
	}
	decoder := json.NewDecoder(bytes.NewReader(output))
	var all []listed
	for {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("decode package list: %v", err)
		}
		all = append(all, p)
	}
}
