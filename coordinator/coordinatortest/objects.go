// Package coordinatortest makes coordinators and valid objects for tests: a state
// without Raft, clusters of one or three members on an in-memory transport that
// run inside testing/synctest, and builders whose every field may be changed.
package coordinatortest

import (
	"crypto/sha256"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// Names of what the builders make.
const (
	Region      = "local"
	SpaceName   = "default"
	Environment = "production"
)

// Epoch is the time at which builders and states begin.
var Epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// Key returns the key of a service in the default space and environment.
func Key(service string) *runwayv1.WorkloadKey {
	return &runwayv1.WorkloadKey{Space: SpaceName, Service: service, Environment: Environment}
}

// ID returns the id of a service in the default space and environment.
func ID(service string) state.WorkloadID { return state.IDOf(Key(service)) }

// Init returns the command that begins a cluster with one region, an admin token
// and the default space, ready.
func Init() *runwayv1.InitCluster {
	return &runwayv1.InitCluster{
		Cluster: &runwayv1.Cluster{
			Id:          "test",
			Incarnation: "first",
			Version:     1,
			Domain:      "runway.localhost",
			Regions:     []string{Region},
		},
		Admin: Token("admin", runwayv1.Role_ROLE_CLUSTER_ADMIN),
		Space: &runwayv1.Space{
			Name:   SpaceName,
			Spec:   &runwayv1.SpaceSpec{},
			Status: &runwayv1.SpaceStatus{Phase: runwayv1.SpacePhase_SPACE_PHASE_READY},
		},
	}
}

// Token returns a token whose secret is its id.
func Token(id string, role runwayv1.Role) *runwayv1.Token {
	hash := sha256.Sum256([]byte(id))
	return &runwayv1.Token{Id: id, Name: id, Hash: hash[:], Role: role}
}

// JoinToken returns a join token for one use whose secret is its id.
func JoinToken(id string, role runwayv1.Role) *runwayv1.JoinToken {
	hash := sha256.Sum256([]byte(id))
	return &runwayv1.JoinToken{Id: id, Hash: hash[:], Role: role, UsesLeft: 1}
}

// Spec returns the spec of a small HTTP service with 1 to 10 replicas.
func Spec() *runwayv1.RevisionSpec {
	return &runwayv1.RevisionSpec{
		Image: &runwayv1.Image{
			Reference: "registry.test/web:1",
			Resolved:  "registry.test/web@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		},
		ContainerPort:    8080,
		Protocol:         runwayv1.Protocol_PROTOCOL_HTTP1,
		Resources:        &runwayv1.Resources{CpuLimitMilli: 1000, CpuRequestMilli: 100, MemoryBytes: 128 << 20, DiskBytes: 256 << 20, Pids: 1024},
		Scale:            &runwayv1.ScalePolicy{Min: 1, Max: 10},
		StartupProbe:     &runwayv1.Probe{Kind: runwayv1.ProbeKind_PROBE_KIND_HTTP, Path: "/", FailureThreshold: 3},
		Public:           true,
		Internal:         true,
		RequestTimeout:   durationpb.New(time.Minute),
		TerminationGrace: durationpb.New(30 * time.Second),
		DrainTimeout:     durationpb.New(30 * time.Second),
	}
}

// Deploy returns the command that deploys spec as a service of the default space,
// with wanted replicas in the only region, chosen by hand.
func Deploy(deployment, service string, spec *runwayv1.RevisionSpec, wanted uint32) *runwayv1.Deploy {
	return &runwayv1.Deploy{
		Deployment: deployment,
		Workload:   Key(service),
		Spec:       spec,
		Strategy:   "rolling",
		CreatedBy:  "admin",
		Wanted:     []*runwayv1.Wanted{{Region: Region, Count: wanted, Reason: "chosen", Writer: "test"}},
	}
}

// NodeFacts returns the facts of a machine with 4 cores, 8 GiB of memory, 100 GiB
// of disk and 10,000 node ports.
func NodeFacts() *runwayv1.NodeFacts {
	return &runwayv1.NodeFacts{
		Address:                "10.0.0.1",
		Region:                 Region,
		Pool:                   "default",
		CapacityCpuMilli:       4000,
		CapacityMemoryBytes:    8 << 30,
		CapacityDiskBytes:      100 << 30,
		AllocatableCpuMilli:    4000,
		AllocatableMemoryBytes: 8 << 30,
		AllocatableDiskBytes:   100 << 30,
		PortFirst:              20000,
		PortLast:               29999,
	}
}

// RegisterNode returns the command of a node whose name is its id.
func RegisterNode(id string) *runwayv1.RegisterNode {
	return &runwayv1.RegisterNode{Node: id, Name: id, Facts: NodeFacts()}
}

// RegisterIngress returns the command of an ingress whose name is its id.
func RegisterIngress(id string) *runwayv1.RegisterIngress {
	return &runwayv1.RegisterIngress{
		Ingress: id,
		Name:    id,
		Facts: &runwayv1.IngressFacts{
			PublicAddresses: []string{"192.0.2.1"},
			SourceAddress:   "10.0.0.100",
			Region:          Region,
			HttpPort:        80,
			HttpsPort:       443,
		},
	}
}

// Replica returns a replica of a service's revision for AssignReplicas, on the
// first epoch of a node.
func Replica(id, service string, revision uint64, node string, port uint32) *runwayv1.Replica {
	return &runwayv1.Replica{
		Id:       id,
		Workload: Key(service),
		Revision: revision,
		Plan:     &runwayv1.ReplicaPlan{Node: node, Region: Region, NodeEpoch: 1, NodePort: port},
	}
}

// Assign returns the command that makes replicas.
func Assign(replicas ...*runwayv1.Replica) *runwayv1.AssignReplicas {
	return &runwayv1.AssignReplicas{Replicas: replicas}
}

// Report returns the command in which a node in its first epoch reports a phase of
// one replica; a running replica is ready.
func Report(node, replica string, phase runwayv1.ReplicaPhase) *runwayv1.ReportReplicas {
	running := phase == runwayv1.ReplicaPhase_REPLICA_PHASE_RUNNING
	return &runwayv1.ReportReplicas{Reports: []*runwayv1.NodeReport{{
		Node:      node,
		Replica:   replica,
		NodeEpoch: 1,
		Status:    &runwayv1.ReplicaStatus{Phase: phase, Ready: running},
	}}}
}
