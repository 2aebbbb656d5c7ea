package agent

import (
	"errors"
	"fmt"
	"strings"

	"github.com/runway-platform/runway/agent/logs"
	"github.com/runway-platform/runway/agent/network"
	"github.com/runway-platform/runway/agent/probe"
	"github.com/runway-platform/runway/agent/runtime"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// maxEvidence bounds the transcript that is sent with a cause: the log tail and a few lines of facts.
const maxEvidence = logTail + 16

// cause says why a replica is not as asked, in the words that the user will read.
type cause struct {
	Code     code.Code
	Summary  string
	Evidence []string
}

func newCause(c code.Code, format string, args ...any) *cause {
	return &cause{Code: c, Summary: fmt.Sprintf(format, args...)}
}

// with returns the cause with more evidence.
func (c *cause) with(lines ...string) *cause {
	longer := *c
	longer.Evidence = append(append([]string{}, c.Evidence...), lines...)
	longer.Evidence = longer.Evidence[:min(len(longer.Evidence), maxEvidence)]
	return &longer
}

func (c *cause) proto() *runwayv1.Cause {
	if c == nil {
		return nil
	}
	sent := &runwayv1.Cause{Code: string(c.Code), Summary: printable(c.Summary, summaryBytes), Fix: c.Code.Fix()}
	for _, line := range c.Evidence {
		sent.Evidence = append(sent.Evidence, printable(line, answerEvidence))
	}
	return sent
}

// codeOfError maps what the parts below say to what users read; the first match decides.
var codeOfError = []struct {
	is   error
	code code.Code
}{
	{runtime.ErrImageNotFound, code.ImageNotFound},
	{runtime.ErrImageDenied, code.ImageDenied},
	{runtime.ErrImagePlatform, code.ImagePlatform},
	{runtime.ErrImageCorrupt, code.ImageInvalid},
	{runtime.ErrRegistryUnreachable, code.RegistryUnreachable},
	{runtime.ErrRefused, code.ContainerFailed},
	{runtime.ErrUnavailable, code.RuntimeUnavailable},
	{runtime.ErrInvalid, code.SpecInvalid},
	{network.ErrInvalid, code.SpecInvalid},
	{errPortTaken, code.NodePortTaken},
	{errPortRange, code.SpecInvalid},
}

// codeOfStep is for errors without a class of their own: those of the network come from many tools, and a pull that was not
// finished in time names no reason.
var codeOfStep = map[verb]code.Code{
	doPull:   code.RegistryUnreachable,
	doAttach: code.NetworkFailed,
	doDetach: code.NetworkFailed,
}

// causeOf explains a failed step.
func causeOf(err error, step verb) *cause {
	for _, known := range codeOfError {
		if errors.Is(err, known.is) {
			return newCause(known.code, "%v", err)
		}
	}
	if c, known := codeOfStep[step]; known {
		return newCause(c, "%v", err)
	}
	return newCause(code.ContainerFailed, "%v", err)
}

// terminal reports whether trying a step again cannot help.
func terminal(err error) bool {
	for _, hopeless := range []error{network.ErrInvalid, errPortTaken, errPortRange} {
		if errors.Is(err, hopeless) {
			return true
		}
	}
	return !runtime.Retryable(err)
}

// probeCause explains a replica that does not pass its probe.
func probeCause(last probe.Result) *cause {
	c := code.ProbeFailed
	if last.TimedOut {
		c = code.ProbeTimeout
	}
	answer := last.Status
	if last.Err != "" {
		answer = last.Err
	}
	return newCause(c, "%s: %s", last.Asked, answer).with(last.Lines()...)
}

func logEvidence(lines []logs.Line) []string {
	evidence := make([]string, 0, len(lines))
	for _, line := range lines {
		evidence = append(evidence, "log: "+printable(line.Text, evidenceBytes))
	}
	return evidence
}

const (
	// summaryBytes bounds a summary, and evidenceBytes a line of a replica's own: both are replicated with the state.
	summaryBytes  = 1024
	evidenceBytes = 256
	// answerEvidence is the longest line of evidence: the answer to a probe in which every byte had to be escaped.
	answerEvidence = 2*probe.AnswerBytes + len(`answer: ""`)
)

// printable bounds a text and makes it valid UTF-8, which the session's messages must be.
func printable(text string, most int) string {
	if len(text) > most {
		text = text[:most] + "..."
	}
	return strings.ToValidUTF8(text, "")
}
