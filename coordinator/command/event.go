package command

import runwayv1 "github.com/runway-platform/runway/proto/runway/v1"

func ofSpace(space, kind, message string) *runwayv1.Event {
	return ofWorkload(&runwayv1.WorkloadKey{Space: space}, kind, message)
}

func ofWorkload(key *runwayv1.WorkloadKey, kind, message string) *runwayv1.Event {
	return &runwayv1.Event{Kind: kind, Workload: key, Message: bounded(message)}
}

func ofDeployment(d *runwayv1.Deployment, kind, message string) *runwayv1.Event {
	event := ofWorkload(d.GetWorkload(), kind, message)
	event.Deployment = d.GetId()
	return event
}

func ofReplica(r *runwayv1.Replica, kind, message string) *runwayv1.Event {
	event := ofWorkload(r.GetWorkload(), kind, message)
	event.Deployment = r.GetDeployment()
	event.Replica = r.GetId()
	event.Node = r.GetPlan().GetNode()
	return event
}

func ofNode(node, kind, message string) *runwayv1.Event {
	return &runwayv1.Event{Kind: kind, Node: node, Message: bounded(message)}
}

func ofIngress(ingress, kind, message string) *runwayv1.Event {
	return &runwayv1.Event{Kind: kind, Ingress: ingress, Message: bounded(message)}
}

// warning gives an event the code of what went wrong.
func warning(event *runwayv1.Event, code string) *runwayv1.Event {
	event.Code = code
	return event
}
