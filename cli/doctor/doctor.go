// Package doctor looks at a machine that is or will be a node, and says what is missing
// there or too old. It changes nothing and needs no cluster.
package doctor

import (
	"context"
	"io/fs"

	"github.com/runway-platform/runway/proto/code"
)

// State is how a check ended.
type State string

// States of a finding: what a node does without, what it should not do without for
// long, and what it cannot run without.
const (
	Good    State = "ok"
	Warning State = "warning"
	Failure State = "failure"
)

// Finding is what one check found. Code, Why and Fix are empty for a good one.
type Finding struct {
	Check string    `json:"check"`
	State State     `json:"state"`
	Found string    `json:"found"`
	Code  code.Code `json:"code"`
	Why   string    `json:"why"`
	Fix   string    `json:"fix"`
}

// Machine is what the checks see of the machine.
type Machine struct {
	// Files is the file system from its root.
	Files fs.FS
	// Look finds a program; the error says where it looked.
	Look func(program string) (path string, err error)
	// Run runs a program to its end and returns what it wrote.
	Run func(ctx context.Context, path string, args ...string) (string, error)
	// Answers says whether somebody accepts connections at a Unix socket.
	Answers func(ctx context.Context, socket string) bool
	// Root says that the caller may look at everything.
	Root bool
}

// Check runs every check of the machine, in an order that one can repair them in.
func (m Machine) Check(ctx context.Context) []Finding {
	var all []Finding
	for _, check := range []func(context.Context) []Finding{m.kernel, m.features, m.cgroups, m.programs, m.plugins, m.runtime} {
		all = append(all, check(ctx)...)
	}
	return all
}

// Well is a good finding.
func Well(check, found string) Finding { return Finding{Check: check, State: Good, Found: found} }

// Ill is a finding with the code's own fix unless another is given.
func Ill(state State, check, found string, c code.Code, why, fix string) Finding {
	if fix == "" {
		fix = c.Fix()
	}
	return Finding{Check: check, State: state, Found: found, Code: c, Why: why, Fix: fix}
}
