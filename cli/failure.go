package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/runway-platform/runway/coordinator/client"
	"github.com/runway-platform/runway/manifest"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// failure is why a command did not do what was asked, ready to be shown.
type failure struct {
	exit     int
	code     code.Code
	summary  string
	evidence []string
	fix      string
	// lines are shown before the summary.
	lines []string
}

// Error returns the code and the summary in one line.
func (f *failure) Error() string { return string(f.code) + " " + oneLine(f.summary) }

// fail is a failure without evidence; its fix is the one of the table.
func fail(c code.Code, format string, args ...any) *failure {
	return &failure{exit: exitFor(c), code: c, summary: fmt.Sprintf(format, args...), fix: c.Fix()}
}

// failureOf says what an error means for the user. Only here are kinds of errors
// told apart.
func failureOf(ctx context.Context, err error) *failure {
	var f *failure
	var problems manifest.Errors
	var problem manifest.Problem
	switch {
	case errors.As(err, &f):
		return f
	case errors.As(err, &problems):
		return problemsFailure(problems)
	case errors.As(err, &problem):
		return &failure{exit: exitFor(problem.Code), code: problem.Code, summary: problem.Message, fix: problem.Fix}
	case ctx.Err() != nil:
		return &failure{exit: exitInterrupted, code: code.Interrupted, summary: "interrupted"}
	case errors.Is(err, context.DeadlineExceeded), status.Code(err) == codes.DeadlineExceeded:
		return fail(code.Unreachable, "the coordinator did not answer in time")
	}
	if cause := client.CauseOf(err); cause != nil {
		return causeFailure(cause)
	}
	return &failure{exit: exitUsage, code: usageCode, summary: strings.Replace(err.Error(), "\n\nDid you mean this?\n\t", "; did you mean ", 1)}
}

// transportPrefix begins what the RPC library says of a connection; people need
// the rest.
const transportPrefix = `connection error: desc = "transport: `

// causeFailure is a refusal by the coordinator.
func causeFailure(cause *runwayv1.Cause) *failure {
	c := code.Code(cause.GetCode())
	summary := cause.GetSummary()
	if _, reason, ok := strings.Cut(summary, transportPrefix); ok {
		summary = "the coordinator does not answer: " + strings.TrimSuffix(reason, `"`)
	}
	return &failure{
		exit: exitFor(c), code: c, summary: summary,
		evidence: cause.GetEvidence(), fix: firstNonEmpty(cause.GetFix(), c.Fix()),
	}
}

// problemsFailure shows every problem of a manifest; the first one gives the code.
func problemsFailure(problems manifest.Errors) *failure {
	first := problems[0]
	f := &failure{exit: exitFor(first.Code), code: first.Code, summary: place(first) + first.Message, fix: first.Fix}
	if len(problems) > 1 {
		f.summary += fmt.Sprintf(" (and %d more)", len(problems)-1)
		f.fix = ""
		for _, p := range problems {
			f.lines = append(f.lines, p.Error())
		}
	}
	return f
}

func place(p manifest.Problem) string {
	if p.File == "" {
		return ""
	}
	return p.Place() + ": "
}

// report shows an error and returns the exit code of the process.
func (a *app) report(ctx context.Context, err error) int {
	if err == nil {
		return exitDone
	}
	f := failureOf(ctx, err)
	if f.exit == exitUsage && f.code == usageCode && f.fix == "" {
		f.fix = "see `runwayctl --help`"
	}
	for _, line := range f.lines {
		a.sayError(line)
	}
	a.sayBlock("evidence", f.evidence)
	if f.fix != "" {
		a.sayError("fix: " + oneLine(f.fix))
	}
	a.sayError(f.Error())
	return f.exit
}

// oneLine keeps the last line of stderr, and the rows of tables, one line.
func oneLine(s string) string { return clean(strings.Join(strings.Fields(s), " ")) }

// clean takes out what could steer a terminal: evidence and messages carry text
// that services wrote.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case unicode.IsControl(r):
			return -1
		}
		return r
	}, s)
}
