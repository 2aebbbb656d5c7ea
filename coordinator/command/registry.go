package command

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// registry is the list of everything that can be in the log. The meaning of a
// kind never changes; a new meaning is a new kind with a higher version.
var registry = map[runwayv1.CommandKind]handler{
	runwayv1.CommandKind_COMMAND_KIND_INIT_CLUSTER:          handle(1, initCluster),
	runwayv1.CommandKind_COMMAND_KIND_PUT_SPACE:             handle(1, putSpace),
	runwayv1.CommandKind_COMMAND_KIND_SET_SPACE_STATUS:      handle(1, setSpaceStatus),
	runwayv1.CommandKind_COMMAND_KIND_PURGE_SPACE:           handle(1, purgeSpace),
	runwayv1.CommandKind_COMMAND_KIND_DEPLOY:                handle(1, deploy),
	runwayv1.CommandKind_COMMAND_KIND_CANCEL_DEPLOYMENT:     handle(1, cancelDeployment),
	runwayv1.CommandKind_COMMAND_KIND_SET_DEPLOYMENT_STATUS: handle(1, setDeploymentStatus),
	runwayv1.CommandKind_COMMAND_KIND_SET_WANTED:            handle(1, setWanted),
	runwayv1.CommandKind_COMMAND_KIND_DELETE_WORKLOAD:       handle(1, deleteWorkload),
	runwayv1.CommandKind_COMMAND_KIND_PURGE_WORKLOAD:        handle(1, purgeWorkload),
	runwayv1.CommandKind_COMMAND_KIND_ASSIGN_REPLICAS:       handle(1, assignReplicas),
	runwayv1.CommandKind_COMMAND_KIND_SET_REPLICA_GOALS:     handle(1, setReplicaGoals),
	runwayv1.CommandKind_COMMAND_KIND_REPORT_REPLICAS:       handle(1, reportReplicas),
	runwayv1.CommandKind_COMMAND_KIND_CONFIRM_ROUTES:        handle(1, confirmRoutes),
	runwayv1.CommandKind_COMMAND_KIND_PURGE_REPLICAS:        handle(1, purgeReplicas),
	runwayv1.CommandKind_COMMAND_KIND_REGISTER_NODE:         handle(1, registerNode),
	runwayv1.CommandKind_COMMAND_KIND_SET_NODE_PHASE:        handle(1, setNodePhase),
	runwayv1.CommandKind_COMMAND_KIND_SET_NODE_SPEC:         handle(1, setNodeSpec),
	runwayv1.CommandKind_COMMAND_KIND_REMOVE_NODE:           handle(1, removeNode),
	runwayv1.CommandKind_COMMAND_KIND_REGISTER_INGRESS:      handle(1, registerIngress),
	runwayv1.CommandKind_COMMAND_KIND_SET_INGRESS_PHASE:     handle(1, setIngressPhase),
	runwayv1.CommandKind_COMMAND_KIND_REMOVE_INGRESS:        handle(1, removeIngress),
	runwayv1.CommandKind_COMMAND_KIND_REPORT_INGRESS:        handle(1, reportIngress),
	runwayv1.CommandKind_COMMAND_KIND_PUT_TOKEN:             handle(1, putToken),
	runwayv1.CommandKind_COMMAND_KIND_REVOKE_TOKEN:          handle(1, revokeToken),
	runwayv1.CommandKind_COMMAND_KIND_PUT_JOIN_TOKEN:        handle(1, putJoinToken),
	runwayv1.CommandKind_COMMAND_KIND_USE_JOIN_TOKEN:        handle(1, useJoinToken),
	runwayv1.CommandKind_COMMAND_KIND_RECORD_EVENTS:         handle(1, recordEvents),

	runwayv1.CommandKind_COMMAND_KIND_RECORD_DEPLOYMENT_REPORT: handle(1, recordDeploymentReport),
}

// applyFunc validates a payload against the state and writes what it means.
type applyFunc func(tx *state.Tx, payload proto.Message) (proto.Message, error)

// handler is what the log needs to know about one kind.
type handler struct {
	// since is the cluster version from which the kind may be written.
	since uint32
	empty func() proto.Message
	apply applyFunc
}

// handle gives a typed function the form of the registry.
func handle[T proto.Message](since uint32, apply func(*state.Tx, T) (proto.Message, error)) handler {
	return handler{
		since: since,
		empty: func() proto.Message {
			var zero T
			return zero.ProtoReflect().New().Interface()
		},
		apply: func(tx *state.Tx, payload proto.Message) (proto.Message, error) {
			return apply(tx, payload.(T))
		},
	}
}

// kinds finds the kind of a payload by the name of its message.
var kinds = kindsByMessage()

func kindsByMessage() map[protoreflect.FullName]runwayv1.CommandKind {
	byMessage := make(map[protoreflect.FullName]runwayv1.CommandKind, len(registry))
	for kind, handler := range registry {
		byMessage[handler.empty().ProtoReflect().Descriptor().FullName()] = kind
	}
	return byMessage
}

func kindOf(payload proto.Message) (runwayv1.CommandKind, bool) {
	if payload == nil {
		return runwayv1.CommandKind_COMMAND_KIND_UNSPECIFIED, false
	}
	kind, ok := kinds[payload.ProtoReflect().Descriptor().FullName()]
	return kind, ok
}
