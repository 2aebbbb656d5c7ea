package manifest

import (
	"time"

	yaml "go.yaml.in/yaml/v3"

	"github.com/runway-platform/runway/proto/defaults"
)

// draft is what the files said, before defaults that depend on other fields.
type draft struct {
	in               format
	apiVersion, kind string
	extends          string
	name, image      string
	labels           map[string]string
	port             int64
	requestTimeout   int64
	cpuLimit         int64
	cpuRequest       int64 // 0: not named
	memory           int64
	min, max         int64
	public, internal bool
	backend          string
	internalBackend  string // empty: not named
	memoryRequest    int64  // 0: not named
	env              map[string]string
	command          []string
	diskLimit        int64 // 0: not named
	diskRequest      int64 // 0: not named
	// cloud holds the last value that has no effect.
	cloud struct {
		flag bool
		word string
		list []string
	}
	probes [3]probe
}

func newDraft(in format) *draft {
	d := &draft{
		in: in, apiVersion: APIVersion, labels: map[string]string{}, env: map[string]string{},
		port: defaults.ContainerPort, requestTimeout: inSeconds(defaults.RequestTimeout),
		cpuLimit: defaults.CPULimitMilli, memory: defaults.MemoryBytes, max: defaults.MaxReplicas,
		public: true, internal: true, backend: backendHTTPS,
		probes: [3]probe{newProbe(), newProbe(), newProbe()},
	}
	if in != service {
		d.min, d.max, d.memory = kubernetesMin, kubernetesMax, kubernetesMemory
	}
	return d
}

// probe is one block of probe fields, in seconds.
type probe struct {
	declared                      bool
	path, grpcService             string
	initialDelay, timeout, period int64
	failureThreshold              int64
}

func newProbe() probe {
	return probe{
		timeout: inSeconds(defaults.ProbeTimeout), period: inSeconds(defaults.ProbePeriod), failureThreshold: defaults.ProbeFailureThreshold,
	}
}

func inSeconds(d time.Duration) int64 { return int64(d / time.Second) }

// probeSlot selects one of the probes of a draft.
type probeSlot int

const (
	startup probeSlot = iota
	liveness
	readiness
)

// probeWords are the texts in which the rows of the probes differ.
var probeWords = map[probeSlot]struct{ block, doc, absent, delay, failures string }{
	startup: {
		"spec.startup_probe",
		"When a new replica is ready for requests. Without path and grpc_service it asks for a TCP connection, or for gRPC health with a gRPC back end.",
		"HTTP GET /, any answer below 500; gRPC health with a gRPC back end",
		"Seconds before the first probe.", "Failures in a row that end the start.",
	},
	liveness: {
		"spec.liveness_probe",
		"When a replica that stopped answering is restarted. Without path and grpc_service it asks as startup_probe does.",
		"none",
		"Seconds after the start before the first probe.", "Failures in a row that restart the replica.",
	},
	readiness: {
		"spec.readiness_probe",
		"When a replica gets requests, if another question says it than that of startup_probe, which then only says how long the start may take.",
		"what startup_probe asks",
		"Seconds before the first probe.", "Failures in a row that take the replica out of the route.",
	},
}

// probeBlock is the rule of the mapping itself, which declares the probe.
func probeBlock(slot probeSlot) rule {
	r := mapping()
	r.schema["not"] = schema{"type": "object", "required": []string{"path", "grpc_service"}}
	r.set = func(d *draft, _ *yaml.Node) error {
		d.probes[slot].declared = true
		return nil
	}
	return r
}

// show lets the fields of a block be shown only when it was declared.
func (slot probeSlot) show(f Field) Field {
	if get := f.rule.get; get != nil {
		f.rule.get = func(d *draft) any {
			if !d.probes[slot].declared {
				return nil
			}
			return get(d)
		}
	}
	return f
}

func (slot probeSlot) text(place func(*probe) *string) func(*draft) *string {
	return func(d *draft) *string { return place(&d.probes[slot]) }
}

func (slot probeSlot) number(place func(*probe) *int64) func(*draft) *int64 {
	return func(d *draft) *int64 { return place(&d.probes[slot]) }
}
