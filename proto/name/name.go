// Package name is the one rule of what a service, space or environment may be
// called. The manifest and the coordinator both ask it, so that nobody can choose
// by one way what the other refuses. It holds no texts for users beyond the fault.
package name

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// MaxLength is the longest DNS label, in bytes.
const MaxLength = 63

var (
	label = regexp.MustCompile(`^[a-z]([a-z0-9-]*[a-z0-9])?$`)

	// reserved names have a meaning of their own in DNS, in clouds or in Runway.
	reserved = []string{"internal", "localhost", "metadata", "wpad"}
)

// Reserved returns the names that nobody may choose, in order.
func Reserved() []string { return slices.Clone(reserved) }

// IsLabel says whether a name can be a DNS label in lower case, chosen by a user or
// by us: Fault refuses more.
func IsLabel(name string) bool { return len(name) <= MaxLength && label.MatchString(name) }

// Fault says why a name is not allowed, as the end of a sentence about it; empty
// when it is: a DNS label in lower case that is not reserved. The fault never
// repeats the name.
func Fault(name string) string {
	switch {
	case name == "":
		return "is empty"
	case len(name) > MaxLength:
		return fmt.Sprintf("has %d characters, more than %d", len(name), MaxLength)
	case slices.Contains(reserved, name):
		return "is reserved (" + strings.Join(reserved, ", ") + ")"
	case !label.MatchString(name):
		return "is not a DNS label in lower case"
	case len(name) > 3 && name[2:4] == "--":
		return "has hyphens in third and fourth place, which DNS keeps for encoded names"
	}
	return ""
}
