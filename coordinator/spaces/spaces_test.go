package spaces

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runway-platform/runway/coordinator/coordinatortest"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
	"github.com/runway-platform/runway/provisioning"
	"github.com/runway-platform/runway/provisioning/provisioningtest"
	"github.com/runway-platform/runway/provisioning/space"
)

func TestParts_HoldTheProvisionerContract(t *testing.T) {
	provisioningtest.Run(t, func(t *testing.T) (provisioning.Provisioner, provisioning.Kind) {
		s := coordinatortest.NewState(t,
			&runwayv1.PutSpace{Name: "one", Create: true, Spec: &runwayv1.SpaceSpec{}},
			&runwayv1.PutSpace{Name: "one-two", Create: true, Spec: &runwayv1.SpaceSpec{}},
		)
		return space.New(parts(s.View, s)...), provisioning.Space
	})
}

func TestController_MakesAndDestroysASpaceInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := coordinatortest.NewState(t)
		ctx, cancel := context.WithCancel(t.Context())
		var wait sync.WaitGroup
		c := New(Config{Views: s.View, Applier: s, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
		wait.Go(func() {
			if err := c.Run(ctx); err != nil {
				t.Errorf("Run: %v", err)
			}
		})
		defer func() { cancel(); wait.Wait() }()

		s.Must(t, &runwayv1.PutSpace{Name: "shop", Create: true, Spec: &runwayv1.SpaceSpec{}})
		time.Sleep(time.Second) // virtual
		shop := s.View().Space("shop")
		if shop.GetStatus().GetPhase() != runwayv1.SpacePhase_SPACE_PHASE_READY || len(shop.GetStatus().GetParts()) != 2 {
			t.Fatalf("space is not ready: %v", shop.GetStatus())
		}

		token := coordinatortest.Token("shop-ci", runwayv1.Role_ROLE_DEPLOYER)
		token.Spaces = []string{"shop"}
		s.Must(t, &runwayv1.PutToken{Token: token})
		deploy := coordinatortest.Deploy("d1", "web", coordinatortest.Spec(), 1)
		deploy.Workload.Space = "shop"
		s.Must(t, deploy)
		s.Must(t, &runwayv1.DeleteWorkload{Workload: deploy.GetWorkload(), By: "test"})
		s.Must(t, &runwayv1.PutSpace{Name: "shop", Spec: &runwayv1.SpaceSpec{Delete: true}})
		time.Sleep(time.Second) // virtual
		workloads := s.View().WorkloadsIn("shop")
		if len(workloads) != 1 || !workloads[0].GetDelete() {
			t.Fatalf("its services are not being deleted: %v", workloads)
		}
		if s.View().Token("shop-ci") == nil {
			t.Error("its token was revoked while its services were still there")
		}
		s.Must(t, &runwayv1.PurgeWorkload{Workload: workloads[0].GetKey()}) // what the reaper does
		time.Sleep(time.Second)                                             // virtual
		if s.View().Space("shop") != nil || s.View().Token("shop-ci") != nil {
			t.Errorf("left of the space: %v, %v", s.View().Space("shop"), s.View().Token("shop-ci"))
		}
		if slices.Contains(names(s.View().Spaces()), "shop") || !slices.Contains(names(s.View().Spaces()), "default") {
			t.Errorf("spaces are %v", names(s.View().Spaces()))
		}
	})
}

// faulty is a provisioner that trips over one space.
type faulty struct{ provisioning.Provisioner }

func (f faulty) Apply(ctx context.Context, r provisioning.Request) ([]provisioning.Part, error) {
	if r.Name == "bad" {
		panic("index out of range")
	}
	return f.Provisioner.Apply(ctx, r)
}

func TestController_PanicOverOneSpaceIsItsCauseAndLeavesTheOthersAlone(t *testing.T) {
	s := coordinatortest.NewState(t,
		&runwayv1.PutSpace{Name: "bad", Create: true, Spec: &runwayv1.SpaceSpec{}},
		&runwayv1.PutSpace{Name: "good", Create: true, Spec: &runwayv1.SpaceSpec{}},
	)
	c := New(Config{Views: s.View, Applier: s, Log: slog.New(slog.DiscardHandler), Provisioner: faulty{space.New(parts(s.View, s)...)}})
	for _, payload := range c.reconcile(t.Context(), s.View()) {
		s.Must(t, payload)
	}
	if phase := s.View().Space("good").GetStatus().GetPhase(); phase != runwayv1.SpacePhase_SPACE_PHASE_READY {
		t.Errorf("the other space is %v, want ready", phase)
	}
	bad := s.View().Space("bad").GetStatus()
	if want := "a defect of the provisioner: index out of range"; bad.GetCause().GetSummary() != want {
		t.Errorf("cause: got %q, want %q", bad.GetCause().GetSummary(), want)
	}
	if again := c.reconcileOne(t.Context(), s.View().Space("bad")); again != nil {
		t.Errorf("the same cause is written again: %v", again)
	}
}

func names(spaces []*runwayv1.Space) []string {
	var all []string
	for _, s := range spaces {
		all = append(all, s.GetName())
	}
	return all
}
