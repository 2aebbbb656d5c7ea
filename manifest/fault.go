package manifest

import (
	"github.com/runway-platform/runway/proto/code"
	yaml "go.yaml.in/yaml/v3"
)

// fault is one thing that is wrong inside a value.
type fault struct {
	at           *yaml.Node
	code         code.Code
	message, fix string
}

// faults is returned by a rule that can say more than that the form is wrong.
type faults []fault

// Error is for the debugger: users see each fault as a problem of its own.
func (f faults) Error() string { return f[0].message }

// orNil is f as an error, nil when there is no fault.
func (f faults) orNil() error {
	if len(f) == 0 {
		return nil
	}
	return f
}
