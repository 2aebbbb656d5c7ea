package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/runway-platform/runway/coordinator/client"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

func TestConn_FollowsTheLeader(t *testing.T) {
	t.Parallel()
	authority := newAuthority(t)
	follower, leader := start(t, authority, "a:1"), start(t, authority, "b:1")
	follower.refusal = notLeader("b:1")
	conn := network{"a:1": follower, "b:1": leader}.client(t, authority, "a:1")
	api := runwayv1.NewClusterAPIClient(conn)
	for range 3 {
		info, err := api.Info(testContext(t), &runwayv1.InfoRequest{})
		if err != nil || info.GetLeader() != "b:1" {
			t.Fatalf("Info = %v, %v", info, err)
		}
	}
	if got := follower.calls.Load(); got != 1 {
		t.Errorf("follower was asked %d times, want 1: the leader is remembered", got)
	}
	if got := leader.bearer.Load(); got != "Bearer rwt_secret" {
		t.Errorf("leader saw %v", got)
	}
}

func TestConn_WaitsForAnElection(t *testing.T) {
	t.Parallel()
	authority := newAuthority(t)
	only := start(t, authority, "a:1")
	refused := 0
	only.refusal = func() error {
		if refused++; refused <= 3 {
			return notLeader("")()
		}
		return nil
	}
	conn := network{"a:1": only}.client(t, authority, "a:1")
	if _, err := runwayv1.NewClusterAPIClient(conn).Info(testContext(t), &runwayv1.InfoRequest{}); err != nil {
		t.Errorf("Info = %v", err)
	}
}

func TestConn_GivesUpWithoutALeader(t *testing.T) {
	t.Parallel()
	authority := newAuthority(t)
	only := start(t, authority, "a:1")
	only.refusal = notLeader("")
	conn := network{"a:1": only}.client(t, authority, "a:1")
	_, err := runwayv1.NewClusterAPIClient(conn).Info(testContext(t), &runwayv1.InfoRequest{})
	if got := client.CauseOf(err).GetCode(); got != string(code.NoLeader) {
		t.Errorf("cause = %s of %v, want %s", got, err, code.NoLeader)
	}
}

func TestConn_PassesOverTheUnreachable(t *testing.T) {
	t.Parallel()
	authority := newAuthority(t)
	conn := network{"b:1": start(t, authority, "b:1")}.client(t, authority, "a:1", "b:1")
	if _, err := runwayv1.NewClusterAPIClient(conn).Info(testContext(t), &runwayv1.InfoRequest{}); err != nil {
		t.Errorf("Info = %v", err)
	}
	nobody := network{}.client(t, authority, "a:1")
	_, err := runwayv1.NewClusterAPIClient(nobody).Info(testContext(t), &runwayv1.InfoRequest{})
	if got := client.CauseOf(err).GetCode(); got != string(code.Unreachable) {
		t.Errorf("cause = %s of %v, want %s", got, err, code.Unreachable)
	}
}

func TestConn_NeverRepeatsWhatMayHaveHappened(t *testing.T) {
	t.Parallel()
	authority := newAuthority(t)
	first, second := start(t, authority, "a:1"), start(t, authority, "b:1")
	first.refusal = func() error { return status.Error(codes.Unavailable, "gone while answering") }
	conn := network{"a:1": first, "b:1": second}.client(t, authority, "a:1", "b:1")
	_, err := runwayv1.NewClusterAPIClient(conn).Info(testContext(t), &runwayv1.InfoRequest{})
	if status.Code(err) != codes.Unavailable {
		t.Errorf("Info = %v, want Unavailable", err)
	}
	if calls := first.calls.Load() + second.calls.Load(); calls != 1 {
		t.Errorf("%d calls, want 1", calls)
	}
}

func TestConn_EndsWithItsContext(t *testing.T) {
	t.Parallel()
	authority := newAuthority(t)
	only := start(t, authority, "a:1")
	only.refusal = notLeader("")
	conn := network{"a:1": only}.client(t, authority, "a:1")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := runwayv1.NewClusterAPIClient(conn).Info(ctx, &runwayv1.InfoRequest{}); err == nil {
		t.Error("Info succeeded without a leader")
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("took %v after the context ended", took)
	}
}

func TestConn_StreamOfAnswersFindsTheLeader(t *testing.T) {
	t.Parallel()
	authority := newAuthority(t)
	follower, leader := start(t, authority, "a:1"), start(t, authority, "b:1")
	follower.refusal = notLeader("b:1")
	conn := network{"a:1": follower, "b:1": leader}.client(t, authority, "a:1")
	stream, err := runwayv1.NewDeploymentsClient(conn).WatchDeployment(testContext(t), &runwayv1.WatchDeploymentRequest{Id: "d1"})
	if err != nil {
		t.Fatal(err)
	}
	for want := range uint64(3) {
		message, err := stream.Recv()
		if err != nil || message.GetIndex() != want || message.GetDeployment().GetId() != "d1" {
			t.Fatalf("message %d = %v, %v", want, message, err)
		}
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("end of stream = %v", err)
	}
}

func TestConn_SessionFindsTheLeaderAtTheSecondTry(t *testing.T) {
	t.Parallel()
	authority := newAuthority(t)
	follower, leader := start(t, authority, "a:1"), start(t, authority, "b:1")
	follower.refusal = notLeader("b:1")
	conn := network{"a:1": follower, "b:1": leader}.client(t, authority, "a:1")
	connect := func() (string, error) {
		stream, err := runwayv1.NewAgentSessionClient(conn).Connect(testContext(t))
		if err != nil {
			return "", err
		}
		if err := stream.Send(&runwayv1.AgentMessage{}); err != nil {
			return "", err
		}
		message, err := stream.Recv()
		return message.GetWelcome().GetNode(), err
	}
	if _, err := connect(); !client.IsNotLeader(err) {
		t.Fatalf("first session = %v, want not leader", err)
	}
	if node, err := connect(); err != nil || node != "b:1" {
		t.Errorf("second session at %q, %v; want b:1", node, err)
	}
}

func TestConn_SendsNothingToStrangers(t *testing.T) {
	t.Parallel()
	ours, theirs := newAuthority(t), newAuthority(t)
	node := enrolled(t, ours)
	tests := []struct {
		name     string
		stranger *coordinator
	}{
		{"another authority", start(t, theirs, "a:1")},
		{"a node of the same cluster", startWith(t, ours, "a:1", node)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			conn := network{"a:1": tt.stranger}.client(t, ours, "a:1")
			_, err := runwayv1.NewClusterAPIClient(conn).Info(testContext(t), &runwayv1.InfoRequest{})
			if got := client.CauseOf(err).GetCode(); got != string(code.WrongCA) {
				t.Errorf("cause = %s of %v, want %s", got, err, code.WrongCA)
			}
			if got := tt.stranger.calls.Load(); got != 0 {
				t.Errorf("stranger received %d calls", got)
			}
			if strings.Contains(fmt.Sprint(err), "rwt_secret") {
				t.Errorf("error shows the token: %v", err)
			}
		})
	}
}

func TestConn_OneStrangerAmongMany(t *testing.T) {
	t.Parallel()
	ours, theirs := newAuthority(t), newAuthority(t)
	conn := network{"a:1": start(t, theirs, "a:1"), "b:1": start(t, ours, "b:1")}.client(t, ours, "a:1", "b:1")
	if _, err := runwayv1.NewClusterAPIClient(conn).Info(testContext(t), &runwayv1.InfoRequest{}); err != nil {
		t.Errorf("Info = %v", err)
	}
}

func TestConn_CloseEndsCalls(t *testing.T) {
	t.Parallel()
	authority := newAuthority(t)
	conn := network{"a:1": start(t, authority, "a:1")}.client(t, authority, "a:1")
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := runwayv1.NewClusterAPIClient(conn).Info(testContext(t), &runwayv1.InfoRequest{})
	if !errors.Is(err, client.ErrClosed) {
		t.Errorf("Info after Close = %v", err)
	}
}

func TestConfig_Validate(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		config client.Config
		want   string
	}{
		{"no address", client.Config{CA: []byte("x")}, "no coordinator address"},
		{"no port", client.Config{Addresses: []string{"a"}, CA: []byte("x")}, "missing port"},
		{"no CA", client.Config{Addresses: []string{"a:1"}}, "no CA"},
		{"two proofs", client.Config{Addresses: []string{"a:1"}, Identity: &client.Identity{}, Token: "x"}, "both"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if err := tt.config.Validate(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Validate = %v, want %q", err, tt.want)
			}
		})
	}
}

func TestConfig_TokenFile(t *testing.T) {
	t.Parallel()
	authority := newAuthority(t)
	tests := []struct {
		name, text string
		ok         bool
	}{
		{"with a line end", "rwt_file\n", true},
		{"empty", " \n", false},
		{"two lines", "rwt_file\nrwt_other", false},
		{"too long", strings.Repeat("x", 5000), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "token")
			if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			conn, err := client.Dial(client.Config{Addresses: []string{"a:1"}, CA: authority.CertificatePEM(), TokenFile: path})
			if tt.ok != (err == nil) {
				t.Fatalf("Dial = %v", err)
			}
			if err != nil {
				if strings.Contains(err.Error(), "rwt_file") {
					t.Errorf("error shows the token: %v", err)
				}
				return
			}
			if err := conn.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestCauseOf(t *testing.T) {
	t.Parallel()
	detailed, err := status.New(codes.NotFound, "x").WithDetails(&runwayv1.Cause{Code: "RW-1301"})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"none", nil, ""},
		{"not a status", io.EOF, ""},
		{"the coordinator's words", detailed.Err(), "RW-1301"},
		{"wrapped", fmt.Errorf("deploy: %w", detailed.Err()), "RW-1301"},
		{"unreachable", status.Error(codes.Unavailable, "x"), string(code.Unreachable)},
		{"no leader", notLeader("")(), string(code.NoLeader)},
		{"denied", status.Error(codes.PermissionDenied, "x"), string(code.PermissionDenied)},
		{"a call that an older coordinator does not have", status.Error(codes.Unimplemented, "x"), string(code.VersionsDiffer)},
		{"unknown", status.Error(codes.DataLoss, "x"), string(code.Internal)},
		{"interrupted", status.Error(codes.Canceled, "x"), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := client.CauseOf(tt.err).GetCode(); got != tt.want {
				t.Errorf("CauseOf(%v) = %q, want %q", tt.err, got, tt.want)
			}
		})
	}
}
