package manifest

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/runway-platform/runway/proto/code"
)

// maxNameLength is the longest DNS label.
const maxNameLength = 63

var (
	namePattern = regexp.MustCompile(`^[a-z]([a-z0-9-]*[a-z0-9])?$`)
	notInName   = regexp.MustCompile(`[^a-z0-9]+`)

	// reservedNames have a meaning of their own in DNS, in clouds or in Runway.
	reservedNames = []string{"internal", "localhost", "metadata", "wpad"}
)

// CheckName says whether name may be the name of a service, space or environment:
// a DNS label in lower case that is not reserved. what names the kind of thing in
// the message. The error is a Problem with a proposal where there is one.
func CheckName(what, name string) error {
	why := nameFault(name)
	if why == "" {
		return nil
	}
	fix := "use lower-case letters, digits and hyphens, at most 63, starting with a letter"
	if proposal := ProposeName(name); proposal != "" {
		fix = fmt.Sprintf("try %q", proposal)
	}
	return Problem{Code: code.NameInvalid, Message: fmt.Sprintf("%s name %s %s", what, quote(name), why), Fix: fix}
}

// nameFault says why a name is not allowed; empty when it is.
func nameFault(name string) string {
	switch {
	case name == "":
		return "is empty"
	case len(name) > maxNameLength:
		return fmt.Sprintf("has %d characters, more than %d", len(name), maxNameLength)
	case slices.Contains(reservedNames, name):
		return "is reserved (" + strings.Join(reservedNames, ", ") + ")"
	case !namePattern.MatchString(name):
		return "is not a DNS label in lower case"
	case len(name) > 3 && name[2:4] == "--":
		return "has hyphens in third and fourth place, which DNS keeps for encoded names"
	}
	return ""
}

// ProposeName returns the nearest allowed name; empty when there is none.
func ProposeName(name string) string {
	proposal := notInName.ReplaceAllString(strings.ToLower(name), "-")
	proposal = strings.TrimLeft(proposal, "-0123456789")
	if len(proposal) > maxNameLength {
		proposal = proposal[:maxNameLength]
	}
	proposal = strings.Trim(proposal, "-")
	if nameFault(proposal) != "" {
		return ""
	}
	return proposal
}
