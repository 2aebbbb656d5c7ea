package tokens

import (
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/runway-platform/runway/coordinator/coordinatortest"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// days is a moment in the life of the tests' tokens.
func days(n float64) time.Time { return epoch.Add(time.Duration(n * 24 * float64(time.Hour))) }

func admin(id string, ends *timestamppb.Timestamp, spaces ...string) *runwayv1.PutToken {
	hash := sha256.Sum256([]byte(id))
	return &runwayv1.PutToken{Token: &runwayv1.Token{
		Id: id, Name: id, Hash: hash[:], Role: runwayv1.Role_ROLE_CLUSTER_ADMIN, Spaces: spaces, ExpiresAt: ends,
	}}
}

func TestPlan_SaysThatTheLastAdminEndsOnceADay(t *testing.T) {
	t.Parallel()
	// The state of tests begins with an admin of its own, which is replaced.
	s := coordinatortest.NewState(t,
		admin("admin", timestamppb.New(days(30))),
		admin("short", timestamppb.New(days(3))), admin("limited", nil, "default"))
	p := &planner{}
	var said []float64
	var last string
	for hour := range 24 * 33 {
		at := float64(hour) / 24
		for _, command := range p.plan(s.View(), days(at)) {
			said = append(said, at)
			last = command.(*runwayv1.RecordEvents).GetEvents()[0].GetMessage()
		}
	}
	if len(said) != 17 || said[0] != 16 || said[1] != 17 {
		t.Errorf("said on day %v, want every day from 16 on", said)
	}
	if !strings.Contains(last, "no token of a cluster admin is valid") {
		t.Errorf("after the end it says %q", last)
	}
}

func TestPlan_SaysNothingWhileOneNeverEnds(t *testing.T) {
	t.Parallel()
	s := coordinatortest.NewState(t, admin("admin", nil), admin("short", timestamppb.New(days(3))))
	if commands := (&planner{}).plan(s.View(), days(3)); len(commands) > 0 {
		t.Errorf("said %v", commands)
	}
}
