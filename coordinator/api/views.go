package api

import (
	"github.com/runway-platform/runway/coordinator/caller"
	"github.com/runway-platform/runway/coordinator/names"
	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// hidden stands for a value that the caller may not read.
const hidden = "(hidden)"

// serviceView is a workload with what people want to know about it.
func serviceView(view *state.View, who caller.Caller, workload *runwayv1.Workload) *runwayv1.ServiceView {
	id := state.IDOf(workload.GetKey())
	revision := presentRevision(view, workload)
	answer := &runwayv1.ServiceView{
		Workload:   workload,
		Revision:   shown(who, revision),
		Deployment: presentDeployment(view, workload),
		Urls:       urls(view, workload.GetKey(), revision.GetSpec()),
		Index:      view.Index(),
	}
	for _, wanted := range view.WantedOf(id) {
		answer.Wanted += uint32(state.Size(wanted, revision.GetSpec()))
	}
	for _, replica := range view.ReplicasOf(id) {
		count(answer, replica)
	}
	if revision.GetSpec().GetInternal() && revision.GetSpec().GetContainerPort() != 0 {
		answer.InternalName = names.Internal(workload.GetKey())
	}
	return answer
}

func count(answer *runwayv1.ServiceView, replica *runwayv1.Replica) {
	if over(replica) {
		return
	}
	answer.Replicas++
	if replica.GetPlan().GetGoal() != runwayv1.Goal_GOAL_SERVE {
		return
	}
	if replica.GetStatus().GetReady() {
		answer.Ready++
	}
	if replica.GetRouting().GetServing() {
		answer.Serving++
	}
}

func replicaView(view *state.View, replica *runwayv1.Replica) *runwayv1.ReplicaView {
	node := view.Node(replica.GetPlan().GetNode())
	return &runwayv1.ReplicaView{Replica: replica, NodeName: node.GetName(), NodeAddress: node.GetFacts().GetAddress()}
}

// presentRevision is the one that serves, else the newest.
func presentRevision(view *state.View, workload *runwayv1.Workload) *runwayv1.Revision {
	number := workload.GetServingRevision()
	if number == 0 {
		number = workload.GetLatestRevision()
	}
	return view.Revision(state.IDOf(workload.GetKey()), number)
}

// presentDeployment is the one in progress, else the newest.
func presentDeployment(view *state.View, workload *runwayv1.Workload) *runwayv1.Deployment {
	if active := view.Deployment(workload.GetActiveDeployment()); active != nil {
		return active
	}
	var newest *runwayv1.Deployment
	for _, d := range view.DeploymentsOf(state.IDOf(workload.GetKey())) {
		if newest == nil || d.GetMeta().GetCreatedIndex() > newest.GetMeta().GetCreatedIndex() {
			newest = d
		}
	}
	return newest
}

// shown is a revision as the caller may read it: who oversees does not need the
// values of variables, which may be secrets.
func shown(who caller.Caller, revision *runwayv1.Revision) *runwayv1.Revision {
	if revision == nil || who.Role != auditor || len(revision.GetSpec().GetEnv()) == 0 {
		return revision
	}
	redacted := state.Clone(revision)
	for name := range redacted.GetSpec().GetEnv() {
		redacted.Spec.Env[name] = hidden
	}
	return redacted
}

// urls are where a public service is reached.
func urls(view *state.View, key *runwayv1.WorkloadKey, spec *runwayv1.RevisionSpec) []string {
	if !spec.GetPublic() || spec.GetContainerPort() == 0 {
		return nil
	}
	return []string{names.URL(names.Public(key, view.Cluster().GetDomain()), httpsPort(view))}
}

// httpsPort is where ingresses listen: the first live one's word.
func httpsPort(view *state.View) uint32 {
	for _, i := range view.Ingresses() {
		if i.GetStatus().GetPhase() == runwayv1.IngressPhase_INGRESS_PHASE_LIVE && i.GetFacts().GetHttpsPort() != 0 {
			return i.GetFacts().GetHttpsPort()
		}
	}
	return 0
}
