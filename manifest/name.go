package manifest

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/runway-platform/runway/proto/code"
	naming "github.com/runway-platform/runway/proto/name"
)

var notInName = regexp.MustCompile(`[^a-z0-9]+`)

// CheckName says whether name may be the name of a service, space or environment:
// a DNS label in lower case that is not reserved. what names the kind of thing in
// the message. The error is a Problem with a proposal where there is one.
func CheckName(what, name string) error {
	why := naming.Fault(name)
	if why == "" {
		return nil
	}
	fix := "use lower-case letters, digits and hyphens, at most 63, starting with a letter"
	if proposal := ProposeName(name); proposal != "" {
		fix = fmt.Sprintf("try %q", proposal)
	}
	return Problem{Code: code.NameInvalid, Message: fmt.Sprintf("%s name %s %s", what, quote(name), why), Fix: fix}
}

// ProposeName returns the nearest allowed name; empty when there is none.
func ProposeName(name string) string {
	proposal := notInName.ReplaceAllString(strings.ToLower(name), "-")
	proposal = strings.TrimLeft(proposal, "-0123456789")
	if len(proposal) > naming.MaxLength {
		proposal = proposal[:naming.MaxLength]
	}
	proposal = strings.Trim(proposal, "-")
	if naming.Fault(proposal) != "" {
		return ""
	}
	return proposal
}
