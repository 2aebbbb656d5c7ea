package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// showReport prints what was served during a deployment, revision by revision.
func (a *app) showReport(ctx context.Context, id string) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	d, err := ask(ctx, c.deployments.GetDeployment, &runwayv1.GetDeploymentRequest{Id: id})
	if err != nil {
		return err
	}
	report := d.GetReport()
	if report == nil {
		return noReport(d)
	}
	return a.show(report, func(t *table) {
		t.head("REVISION", "REQUESTS", "FAILED")
		for _, r := range report.GetRevisions() {
			t.row(revisionName(r.GetRevision()), thousands(r.GetRequests()), thousands(r.GetFailed()))
		}
		t.row("all", thousands(report.GetRequests()), thousands(report.GetFailed()))
		t.text("")
		t.text("counted from " + stamp(report.GetSince()) + " to " + stamp(report.GetUntil()))
		for _, line := range reportGaps(d) {
			t.text(line)
		}
	})
}

func noReport(d *runwayv1.Deployment) error {
	if !terminal(d.GetStatus().GetPhase()) {
		return fail(code.ReportMissing, "deployment %s is %s: its report comes with its end", d.GetId(), deploymentPhase(d.GetStatus().GetPhase()))
	}
	return fail(code.ReportMissing, "deployment %s has no report", d.GetId())
}

// reportLine is a report in one line, empty when there is nothing to say: nobody
// asked for anything during a first deployment.
func reportLine(d *runwayv1.Deployment) string {
	report := d.GetReport()
	if report == nil || report.GetRequests() == 0 && d.GetSpec().GetPreviousRevision() == 0 {
		return ""
	}
	var parts []string
	for _, r := range report.GetRevisions() {
		parts = append(parts, revisionName(r.GetRevision())+": "+thousands(r.GetRequests()))
	}
	line := countOf(report.GetRequests(), "request", "requests") + " served meanwhile"
	if len(parts) > 0 {
		line += " (" + strings.Join(parts, ", ") + ")"
	}
	line += ", " + thousands(report.GetFailed()) + " failed"
	return strings.Join(append([]string{line}, reportGaps(d)...), "; ")
}

// reportGaps says what a report does not cover.
func reportGaps(d *runwayv1.Deployment) []string {
	report := d.GetReport()
	var gaps []string
	if report.GetSince().AsTime().After(d.GetStatus().GetStartedAt().AsTime()) {
		gaps = append(gaps, "not counted before "+stamp(report.GetSince())+", when the coordinator's leader changed")
	}
	if names := report.GetIncomplete(); len(names) > 0 {
		gaps = append(gaps, "counts of "+strings.Join(names, ", ")+" may be incomplete")
	}
	return gaps
}

// revisionName is how a report names what answered.
func revisionName(revision uint64) string {
	if revision == 0 {
		return "no replica"
	}
	return fmt.Sprintf("revision %d", revision)
}

func countOf(n uint64, singular, plural string) string {
	if n == 1 {
		return "1 " + singular
	}
	return thousands(n) + " " + plural
}

// thousands writes a number in groups of three digits.
func thousands(n uint64) string {
	digits := strconv.FormatUint(n, 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
