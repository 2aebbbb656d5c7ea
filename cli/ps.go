package cli

import (
	"context"
	"fmt"
	"strings"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
	"github.com/spf13/cobra"
)

func (a *app) psCommand() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "ps [SERVICE]",
		Short: "List replicas",
		Long: "Ps lists the replicas of a service, or of all services of the space: their revision, what they do, how often\n" +
			"they were restarted in place and on which node they are. -o wide adds addresses and reasons.",
		Example: "  runwayctl ps web\n  runwayctl ps web --all -o wide",
		Args:    between(0, "SERVICE"),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.ps(cmd.Context(), firstOf(args), all) },
	}
	cmd.Flags().BoolVarP(&all, "all", "a", false, "stopped and failed replicas too")
	return cmd
}

func (a *app) ps(ctx context.Context, service string, all bool) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	key := a.key(service)
	if service == "" && !a.globals.environmentNamed {
		key.Environment = ""
	}
	reply, err := ask(ctx, c.services.ListReplicas, &runwayv1.ListReplicasRequest{Workload: key, All: all})
	if err != nil {
		return err
	}
	return a.show(reply, func(t *table) {
		if len(reply.GetReplicas()) == 0 {
			t.text("No replicas.")
			return
		}
		t.head(append([]string{"REPLICA", "SERVICE", "REVISION", "STATE", "RESTARTS", "NODE", "AGE"}, t.only("ENVIRONMENT", "ADDRESS", "NODE PORT", "PID", "REASON")...)...)
		for _, view := range reply.GetReplicas() {
			r := view.GetReplica()
			t.row(append([]string{
				r.GetId(), a.serviceName(r.GetWorkload()), number(r.GetRevision()), replicaState(r),
				number(r.GetStatus().GetAttempt()), view.GetNodeName(), a.age(r.GetMeta().GetCreatedAt()),
			}, t.only(
				r.GetWorkload().GetEnvironment(), r.GetStatus().GetAddress(), nonZero(r.GetPlan().GetNodePort()), nonZero(r.GetStatus().GetPid()), replicaReason(r),
			)...)...)
		}
	})
}

// replicaState is what a replica does, from the user's side.
func replicaState(r *runwayv1.Replica) string {
	s := r.GetStatus()
	state := replicaPhase(s.GetPhase())
	switch {
	case s.GetPhase() == runwayv1.ReplicaPhase_REPLICA_PHASE_UNSPECIFIED:
		state = "pending"
	case s.GetPhase() == runwayv1.ReplicaPhase_REPLICA_PHASE_RUNNING && r.GetPlan().GetGoal() != runwayv1.Goal_GOAL_SERVE:
		state = "draining"
	case r.GetRouting().GetServing() && s.GetReady():
		state = "serving"
	case s.GetPhase() == runwayv1.ReplicaPhase_REPLICA_PHASE_RUNNING && s.GetReady():
		state = "ready"
	}
	if code := s.GetCause().GetCode(); code != "" {
		state += " " + code
	}
	return state
}

// replicaReason is why a replica is not as asked.
func replicaReason(r *runwayv1.Replica) string {
	var reasons []string
	if summary := r.GetStatus().GetCause().GetSummary(); summary != "" {
		reasons = append(reasons, summary)
	}
	if r.GetPlan().GetReason() != "" {
		reasons = append(reasons, r.GetPlan().GetReason())
	}
	return strings.Join(reasons, "; ")
}

func nonZero[N uint32 | int64](n N) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%d", n)
}
