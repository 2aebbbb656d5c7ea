package cli

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/runway-platform/runway/cli/config"
	"github.com/runway-platform/runway/cli/doctor"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
	"github.com/spf13/cobra"
)

const (
	// clockTolerance is more than machines with a time service differ by, and less than
	// what certificates and tokens forgive.
	clockTolerance = 5 * time.Second
	// endsSoon leaves time to replace a CA, which takes every client and machine.
	endsSoon = 30 * 24 * time.Hour
)

// The parts that doctor looks at.
const (
	partClient  = "client"
	partMachine = "machine"
)

func (a *app) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use: "doctor [PART]", Short: "Find what is missing or too old, here and on the way to the cluster", Args: between(0, "PART"),
		Long: "Doctor checks this machine as one that is or will be a node (PART machine): kernel, cgroups, containerd, runc,\n" +
			"nft and CNI plugins, and whether the known holes are closed in their versions. And it checks the way to the\n" +
			"cluster (PART client): configuration, CA, connection, token, clock and versions. Without PART it does both.\n" +
			"Each finding has a code, why it matters and what to do. Warnings end with exit code 0; a failure with that of\n" +
			"the first: 1, 8 when the cluster is not reached, 9 when its CA is not usable or it refuses the token.",
		Example: "  runwayctl doctor\n  runwayctl doctor client --context production\n  runwayctl doctor machine -o json",
		RunE: func(cmd *cobra.Command, args []string) error {
			part := firstOf(args)
			if part != "" && part != partClient && part != partMachine {
				return usagef(cmd, "PART %q is neither %s nor %s", part, partClient, partMachine)
			}
			return a.doctor(cmd.Context(), part)
		},
	}
}

// examination is the document of `doctor`.
type examination struct {
	Failures int              `json:"failures"`
	Warnings int              `json:"warnings"`
	Findings []doctor.Finding `json:"findings"`
}

func (a *app) doctor(ctx context.Context, part string) error {
	var e examination
	if part != partMachine {
		e.Findings = append(e.Findings, a.checkClient(ctx)...)
	}
	if part != partClient {
		e.Findings = append(e.Findings, a.Machine.Check(ctx)...)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for _, f := range e.Findings {
		switch f.State {
		case doctor.Failure:
			e.Failures++
		case doctor.Warning:
			e.Warnings++
		}
	}
	return firstError(a.showValue(e, func(t *table) { e.table(t) }), e.verdict())
}

func (e examination) table(t *table) {
	t.head("CHECK", "STATE", "FOUND")
	for _, f := range e.Findings {
		t.row(f.Check, string(f.State), f.Found)
	}
	for _, f := range e.Findings {
		if f.State == doctor.Good {
			continue
		}
		t.text("")
		t.text(fmt.Sprintf("%s %s: %s", f.Code, f.Check, oneLine(f.Why)))
		t.text("  fix: " + oneLine(f.Fix))
	}
	t.text("")
	t.text(count(e.Failures, "failure", "failures") + ", " + count(e.Warnings, "warning", "warnings"))
}

// verdict is the first failure; nil when there is none.
func (e examination) verdict() error {
	for _, f := range e.Findings {
		if f.State != doctor.Failure {
			continue
		}
		summary := f.Check + ": " + f.Why
		if e.Failures > 1 {
			summary += fmt.Sprintf(" (and %d more)", e.Failures-1)
		}
		return &failure{exit: exitFor(f.Code), code: f.Code, summary: summary, fix: f.Fix}
	}
	return nil
}

// unwell is a finding about an error.
func unwell(ctx context.Context, check, found string, err error) doctor.Finding {
	f := failureOf(ctx, err)
	return doctor.Finding{Check: check, State: doctor.Failure, Found: found, Code: f.code, Why: f.summary, Fix: firstNonEmpty(f.fix, f.code.Fix())}
}

// checkClient looks at the way to the cluster, from here to there. What lies behind
// something that is broken is not looked at.
func (a *app) checkClient(ctx context.Context) []doctor.Finding {
	chosen, err := a.selectContext()
	if err != nil {
		return []doctor.Finding{unwell(ctx, "configuration", "not usable", err)}
	}
	ca := a.checkCA(chosen)
	findings := []doctor.Finding{doctor.Well("configuration", firstNonEmpty(chosen.Name, "RUNWAY_ADDRESS")+" "+chosen.Address), ca}
	if ca.State == doctor.Failure {
		return findings
	}
	c, err := a.dial(chosen)
	if err != nil {
		return append(findings, unwell(ctx, "connection", chosen.Address, err))
	}
	sent := a.Now()
	info, err := ask(ctx, c.cluster.Info, &runwayv1.InfoRequest{})
	if err != nil {
		return append(findings, unwell(ctx, "connection", chosen.Address, err))
	}
	findings = append(findings, doctor.Well("connection", "cluster "+info.GetCluster()+" answers"))
	return append(findings, a.checkToken(), checkLeader(info), checkClock(info, sent, a.Now()), a.checkVersion(info))
}

func (a *app) checkCA(chosen config.Context) doctor.Finding {
	const check = "CA"
	ends, err := endOfCA(chosen.CA)
	if err != nil {
		return doctor.Ill(doctor.Failure, check, firstNonEmpty(chosen.CA, "not named"), code.WrongCA, err.Error(), "name the cluster's CA in the configuration file or with RUNWAY_CA")
	}
	day := ends.UTC().Format(time.DateOnly)
	f := doctor.Ill(doctor.Warning, check, chosen.CA+" until "+day, code.CredentialEnds, "the cluster's certificate ends on "+day, "get the present CA of the cluster from its administrators")
	switch left := ends.Sub(a.Now()); {
	case left <= 0:
		f.State = doctor.Failure
	case left > endsSoon:
		return doctor.Well(check, f.Found)
	}
	return f
}

// endOfCA is when the last certificate of a file ends.
func endOfCA(path string) (time.Time, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return time.Time{}, fmt.Errorf("read CA: %w", err)
	}
	var last time.Time
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return time.Time{}, fmt.Errorf("parse CA %q: %w", path, err)
		}
		if certificate.NotAfter.After(last) {
			last = certificate.NotAfter
		}
	}
	if last.IsZero() {
		return time.Time{}, errors.New("the file " + path + " holds no certificate")
	}
	return last, nil
}

// checkToken is asked after an answer, which says when the token ends if that is soon.
func (a *app) checkToken() doctor.Finding {
	ends := a.conn.TokenExpires()
	if ends.IsZero() {
		return doctor.Well("token", "accepted")
	}
	at := ends.UTC().Format(time.RFC3339)
	return doctor.Ill(doctor.Warning, "token", "accepted until "+at, code.CredentialEnds, "this token is refused from "+at+" on", "")
}

func checkLeader(info *runwayv1.InfoResponse) doctor.Finding {
	if info.GetLeader() == "" {
		return doctor.Ill(doctor.Failure, "leader", "none", code.NoLeader, fmt.Sprintf("none of the %d coordinators leads: nothing can be changed", len(info.GetMembers())), "")
	}
	return doctor.Well("leader", info.GetLeader())
}

// checkClock compares the coordinator's clock with the middle of the call.
func checkClock(info *runwayv1.InfoResponse, sent, received time.Time) doctor.Finding {
	const check = "clock"
	if !info.GetNow().IsValid() || info.GetNow().AsTime().Unix() == 0 {
		return doctor.Ill(doctor.Warning, check, "not compared", code.VersionsDiffer, "the cluster's version does not tell its time", "")
	}
	took := received.Sub(sent)
	differs := info.GetNow().AsTime().Sub(sent.Add(took / 2))
	if differs.Abs()-took/2 <= clockTolerance {
		return doctor.Well(check, "as the coordinator's")
	}
	direction := "behind"
	if differs < 0 {
		direction = "ahead of"
	}
	found := fmt.Sprintf("%s %s the coordinator's", differs.Abs().Round(time.Second), direction)
	return doctor.Ill(doctor.Warning, check, found, code.ClocksDiffer, "this clock is "+found+": certificates and tokens may be refused, and times are wrong", "")
}

// checkVersion compares the lines of releases: a patch changes nothing between the two.
func (a *app) checkVersion(info *runwayv1.InfoResponse) doctor.Finding {
	found := fmt.Sprintf("runwayctl %s, cluster %s", a.Build.Version, info.GetVersion())
	if lineOf(a.Build.Version) == lineOf(info.GetVersion()) {
		return doctor.Well("version", found)
	}
	return doctor.Ill(doctor.Warning, "version", found, code.VersionsDiffer, found+": one may not know what the other says", "")
}

// lineOf is MAJOR.MINOR of a version; the whole of one that is no release.
func lineOf(version string) string {
	const parts = 3
	if numbers := strings.SplitN(version, ".", parts); len(numbers) == parts && !strings.Contains(numbers[2], "-") {
		return numbers[0] + "." + numbers[1]
	}
	return version
}
