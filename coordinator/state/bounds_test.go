package state_test

import (
	"fmt"
	"testing"

	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

func TestPutEvent_keepsTheNewest(t *testing.T) {
	s := state.New()
	const extra, perCommand = 30, 10
	for i := range (state.EventsKept + extra) / perCommand {
		update(t, s, uint64(i+1), func(tx *state.Tx) {
			for j := range perCommand {
				tx.PutEvent(&runwayv1.Event{Kind: fmt.Sprintf("e%d", i*perCommand+j)})
			}
		})
	}
	v := s.View()
	if got := v.Count(state.TableEvents); got != state.EventsKept {
		t.Errorf("%d events kept, want %d", got, state.EventsKept)
	}
	all := v.Events(1 << 20)
	if got, want := all[0].GetKind(), fmt.Sprintf("e%d", extra); got != want {
		t.Errorf("oldest event is %s, want %s", got, want)
	}
	newest := v.Events(3)
	if got, want := newest[2].GetKind(), fmt.Sprintf("e%d", state.EventsKept+extra-1); len(newest) != 3 || got != want {
		t.Errorf("newest of %d events is %s, want %s", len(newest), got, want)
	}
	if got := len(v.EventsSince(v.Index() - 2)); got != 2*perCommand {
		t.Errorf("%d events in the last two commands, want %d", got, 2*perCommand)
	}
	if !newest[2].GetAt().AsTime().Equal(newest[2].GetMeta().GetCreatedAt().AsTime()) {
		t.Error("an event has another time than its command")
	}
}

func TestPutRevision_keepsTheNewestAndThoseInUse(t *testing.T) {
	s := state.New()
	const total = state.RevisionsKept + 30
	update(t, s, 1, func(tx *state.Tx) {
		tx.PutWorkload(&runwayv1.Workload{Key: web.Key(), ServingRevision: 3, ActiveDeployment: "d"})
		tx.PutDeployment(&runwayv1.Deployment{Id: "d", Workload: web.Key(), Spec: &runwayv1.DeploymentSpec{Revision: 5, PreviousRevision: 4}})
		tx.PutReplica(&runwayv1.Replica{Id: "r", Workload: web.Key(), Revision: 2})
	})
	for i := range total {
		update(t, s, uint64(i+2), func(tx *state.Tx) {
			tx.PutRevision(&runwayv1.Revision{Workload: web.Key(), Number: uint64(i + 1)})
		})
	}
	v := s.View()
	for _, number := range []uint64{2, 3, 4, 5, total - 10, total} {
		if v.Revision(web, number) == nil {
			t.Errorf("revision %d is gone", number)
		}
	}
	for _, number := range []uint64{1, 6, 7} {
		if v.Revision(web, number) != nil {
			t.Errorf("revision %d is kept", number)
		}
	}
	if got := len(v.Revisions(web)); got > state.RevisionsKept+4 {
		t.Errorf("%d revisions kept", got)
	}
}

func TestPutDeployment_keepsTheNewestAndActive(t *testing.T) {
	s := state.New()
	const total = state.DeploymentsKept + 5
	update(t, s, 1, func(tx *state.Tx) {
		tx.PutDeployment(&runwayv1.Deployment{Id: "active", Workload: web.Key()})
	})
	for i := range total {
		update(t, s, uint64(i+2), func(tx *state.Tx) {
			tx.PutDeployment(&runwayv1.Deployment{
				// Ids sort against the order of creation.
				Id:       fmt.Sprintf("d%03d", total-i),
				Workload: web.Key(),
				Status:   &runwayv1.DeploymentStatus{Phase: runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_FAILED},
			})
		})
	}
	v := s.View()
	if got := len(v.DeploymentsOf(web)); got != state.DeploymentsKept+1 {
		t.Errorf("%d deployments kept, want %d", got, state.DeploymentsKept+1)
	}
	if v.Deployment("active") == nil || v.Deployment("d001") == nil || v.Deployment(fmt.Sprintf("d%03d", total)) != nil {
		t.Error("kept others than the active and the newest ones")
	}
	if got := v.ActiveDeployments(); len(got) != 1 || got[0].GetId() != "active" {
		t.Errorf("ActiveDeployments() = %v", got)
	}
}
