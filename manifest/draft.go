package manifest

import yaml "go.yaml.in/yaml/v3"

// Defaults of a manifest. Those with a name in runway.yml are also in the table of
// fields, where a test compares the two.
const (
	defaultPort           = 8080
	defaultCPUMilli       = 1000
	defaultMemoryBytes    = 512 << 20
	defaultMaxInstances   = 100
	defaultRequestTimeout = 300

	// minCPURequestMilli and requestPercent make the reservation of a service that
	// names none: web services idle most of the time, and the limit is a ceiling.
	minCPURequestMilli = 10
	requestPercent     = 10

	// graceSeconds is SIGTERM to SIGKILL; drainSeconds is un-route to SIGTERM.
	graceSeconds = 30
	drainSeconds = 30

	// diskBytes holds the log segments of a replica and a modest writable layer.
	diskBytes = 256 << 20
	// maxPids is more than any web service needs and few enough that a fork bomb
	// leaves the node's own processes alone.
	maxPids = 512
)

// draft is what a file said, before defaults that depend on other fields.
type draft struct {
	apiVersion, kind string
	name, image      string
	labels           map[string]string
	port             uint32
	requestTimeout   int64
	cpuLimit         int64
	cpuRequest       int64 // 0: not named
	memory           int64
	min, max         int64
	public, internal bool
	backend          string
	probes           [2]probe
}

func newDraft() *draft {
	return &draft{
		apiVersion: APIVersion, labels: map[string]string{},
		port: defaultPort, requestTimeout: defaultRequestTimeout,
		cpuLimit: defaultCPUMilli, memory: defaultMemoryBytes, max: defaultMaxInstances,
		public: true, internal: true, backend: backendHTTPS,
		probes: [2]probe{newProbe(), newProbe()},
	}
}

// probe is one block of probe fields, in seconds.
type probe struct {
	declared                      bool
	path, grpcService             string
	initialDelay, timeout, period int64
	failureThreshold              int64
}

func newProbe() probe { return probe{timeout: 1, period: 10, failureThreshold: 3} }

// probeSlot selects one of the probes of a draft.
type probeSlot int

const (
	startup probeSlot = iota
	liveness
)

// probeBlock is the rule of the mapping itself, which declares the probe.
func probeBlock(slot probeSlot) rule {
	r := mapping()
	r.set = func(d *draft, _ *yaml.Node) error {
		d.probes[slot].declared = true
		return nil
	}
	return r
}

func (slot probeSlot) text(store func(*probe, string)) func(*draft, string) {
	return func(d *draft, v string) { store(&d.probes[slot], v) }
}

func (slot probeSlot) number(store func(*probe, int64)) func(*draft, int64) {
	return func(d *draft, v int64) { store(&d.probes[slot], v) }
}
