package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/runway-platform/runway/cli/clitest"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A refused call ends with the exit code and the line of its cause.
func TestExit_OfRefusals(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		grpc codes.Code
		code code.Code
		want int
	}{
		{codes.InvalidArgument, code.SpecInvalid, 2},
		{codes.InvalidArgument, code.NameInvalid, 2},
		{codes.InvalidArgument, code.LargerThanAnyNode, 2},
		{codes.NotFound, code.SpaceNotFound, 2},
		{codes.NotFound, code.ImageNotFound, 2},
		{codes.PermissionDenied, code.ImageDenied, 2},
		{codes.FailedPrecondition, code.NothingDeployed, 2},
		{codes.OutOfRange, code.ScaleOutOfBounds, 2},
		{codes.InvalidArgument, code.NothingBefore, 2},
		{codes.NotFound, code.RevisionNotFound, 2},
		{codes.NotFound, code.ServiceNotFound, 1},
		{codes.NotFound, code.DeploymentNotFound, 1},
		{codes.Internal, code.Internal, 1},
		{codes.ResourceExhausted, code.Unplaceable, 7},
		{codes.Unavailable, code.NoLeader, 8},
		{codes.Unavailable, code.Unreachable, 8},
		{codes.Unavailable, code.WrongCA, 9},
		{codes.Unauthenticated, code.Unauthenticated, 9},
		{codes.Unauthenticated, code.TokenExpired, 9},
		{codes.PermissionDenied, code.PermissionDenied, 9},
		{codes.Aborted, code.Conflict, 10},
		{codes.AlreadyExists, code.SpaceExists, 10},
		{codes.FailedPrecondition, code.ServiceDeleting, 10},
		{codes.Aborted, code.DeploymentSuperseded, 11},
	} {
		t.Run(string(test.code), func(t *testing.T) {
			t.Parallel()
			cause := &runwayv1.Cause{Code: string(test.code), Summary: "what\nhappened", Fix: "do this"}
			f := &clitest.Fake{Refuse: map[string]error{"ListServices": clitest.Refusal(test.grpc, cause)}}
			o := (&run{fake: f, args: "status"}).do(t)
			want := fmt.Sprintf("fix: do this\n%s what happened\n", test.code)
			if o.exit != test.want || o.stderr != want || o.stdout != "" {
				t.Errorf("got exit %d, stdout %q, stderr %q; want exit %d, stderr %q", o.exit, o.stdout, o.stderr, test.want, want)
			}
		})
	}
}

// A status without a cause still has a code and an exit code of its own.
func TestExit_OfBareStatuses(t *testing.T) {
	t.Parallel()
	for c, want := range map[codes.Code]int{
		codes.Unavailable: 8, codes.DeadlineExceeded: 8, codes.PermissionDenied: 9, codes.Unauthenticated: 9,
		codes.Aborted: 10, codes.InvalidArgument: 2, codes.Internal: 1, codes.Unimplemented: 1,
	} {
		f := &clitest.Fake{Refuse: map[string]error{"ListServices": status.Error(c, "what happened")}}
		o := (&run{fake: f, args: "status"}).do(t)
		if o.exit != want {
			t.Errorf("%s: exit %d, want %d: %s", c, o.exit, want, o.stderr)
		}
		o.checkLastLine(t)
	}
}

// Every code of the table has a defined exit code, and only these.
func TestExit_IsDefinedForEveryCode(t *testing.T) {
	t.Parallel()
	defined := map[int]bool{1: true, 2: true, 6: true, 7: true, 8: true, 9: true, 10: true, 11: true, 130: true}
	for _, entry := range code.All() {
		if exit := exitFor(entry.Code); !defined[exit] {
			t.Errorf("%s: exit %d", entry.Code, exit)
		}
	}
}

// A deployment that was undone says its cause in the last line, whatever it is.
func TestExit_OfDeploymentsByCause(t *testing.T) {
	t.Parallel()
	for _, entry := range code.All() {
		if !slices.Contains([]string{"RW-11", "RW-12", "RW-20", "RW-30"}, string(entry.Code)[:5]) {
			continue
		}
		for started, want := range map[bool]int{true: exitRolledBack, false: exitRolledBack} {
			if !started && exitFor(entry.Code) == exitUnplaceable {
				want = exitUnplaceable
			}
			step := clitest.Step(clitest.Deployment(rolledBack, 0, &runwayv1.Cause{Code: string(entry.Code), Summary: "what happened"}))
			if started {
				step.Replicas = append(step.Replicas, clitest.Replica("web-a", starting, false, false))
			}
			o := deployRun(t, step).do(t)
			if o.exit != want || !strings.HasSuffix(o.stderr, fmt.Sprintf("\n%s what happened\n", entry.Code)) {
				t.Errorf("%s, started %v: exit %d, want %d, stderr %q", entry.Code, started, o.exit, want, o.stderr)
			}
		}
	}
}

// everyAsking is each command that asks a cluster.
var everyAsking = []string{
	"deploy -f DIR", "status", "status web", "ps", "logs web", "logs web -f", "events", "events -f", "why web", "revisions web", "scale web 2", "restart web", "rollback web",
	"delete web -y", "deployments list web", "deployments show x", "deployments attach x", "deployments cancel x", "deployments report x", "spaces list", "spaces show x", "spaces create shop",
	"spaces delete x -y", "nodes list", "nodes join-token", "nodes cordon x", "nodes uncordon x", "nodes rm x -y", "ingresses list", "ingresses rm x -y", "routes accept x -y", "top", "tokens list", "tokens create x", "tokens revoke x", "cluster status",
}

// Every command fails with one RW line when the cluster refuses whatever it asks.
func TestExit_LastLineOfEveryCommand(t *testing.T) {
	t.Parallel()
	refused := map[string]error{}
	for _, method := range []string{
		"Info", "CreateSpace", "ListSpaces", "GetSpace", "DeleteSpace", "Deploy", "ListServices", "GetService", "ListReplicas", "ListRevisions",
		"Scale", "Restart", "Rollback", "DeleteService", "Logs", "Why", "GetDeployment", "ListDeployments", "WatchDeployment", "CancelDeployment",
		"ListNodes", "CreateJoinToken", "ListIngresses", "SetCordon", "RemoveNode", "RemoveIngress", "AcceptRoutes", "ListEvents", "CreateToken", "ListTokens", "RevokeToken", "ListTraffic",
	} {
		refused[method] = clitest.Refusal(codes.PermissionDenied, &runwayv1.Cause{Code: string(code.PermissionDenied), Summary: "the token may not do this"})
	}
	dir := folder(t, map[string]string{"runway.yml": webManifest})
	for _, args := range everyAsking {
		o := (&run{fake: &clitest.Fake{Refuse: refused}, args: args, dir: dir, env: map[string]string{"TAG": "1"}}).do(t)
		if o.exit != exitDenied || !strings.HasSuffix(o.stderr, "\nRW-7002 the token may not do this\n") || o.stdout != "" {
			t.Errorf("%s: exit %d, stdout %q, stderr %q", args, o.exit, o.stdout, o.stderr)
		}
	}
}

func TestFailureOf_KeepsTheFirstReason(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, test := range []struct {
		err  error
		ctx  context.Context
		want string
	}{
		{fmt.Errorf("outer: %w", fail(code.NoRegistry, "none")), ctx, "RW-3007 none"},
		{errors.New("anything"), ctx, "RW-8110 interrupted"},
		{errors.New("any\nthing"), t.Context(), "RW-8108 any thing"},
		{context.DeadlineExceeded, t.Context(), "RW-6002 the coordinator did not answer in time"},
	} {
		if got := failureOf(test.ctx, test.err).Error(); got != test.want {
			t.Errorf("failureOf(%v) = %q, want %q", test.err, got, test.want)
		}
	}
}
