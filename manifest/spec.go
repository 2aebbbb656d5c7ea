package manifest

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/runway-platform/runway/proto/code"
	"github.com/runway-platform/runway/proto/defaults"
	naming "github.com/runway-platform/runway/proto/name"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
	"google.golang.org/protobuf/types/known/durationpb"
)

// checkTogether checks what single fields cannot say.
func (w *walker) checkTogether(top position) {
	w.checkName(top)
	d := w.draft
	if d.max < d.min {
		w.add(w.at("spec.scalability.max_instances", "spec.scalability.min_instances"), code.ManifestValue,
			fmt.Sprintf("spec.scalability.max_instances %d is below min_instances %d", d.max, d.min), "raise max_instances or lower min_instances")
	}
	if d.cpuRequest > d.cpuLimit {
		w.add(w.at("spec.resources.requests.cpu"), code.ManifestValue,
			fmt.Sprintf("spec.resources.requests.cpu %dm is above limits.cpu %dm", d.cpuRequest, d.cpuLimit), "raise the limit or lower the request")
	}
	if d.memoryRequest > d.memory {
		w.add(w.at("spec.resources.requests.memory"), code.ManifestValue,
			fmt.Sprintf("spec.resources.requests.memory of %d bytes is above limits.memory of %d", d.memoryRequest, d.memory), "raise the limit or lower the request")
	}
	if d.diskLimit > 0 && d.diskRequest > d.diskLimit {
		w.add(w.at("spec.resources.requests.ephemeral-storage"), code.ManifestValue,
			fmt.Sprintf("spec.resources.requests.ephemeral-storage of %d bytes is above limits.ephemeral-storage of %d", d.diskRequest, d.diskLimit), "raise the limit or lower the request")
	}
	w.checkProtocols()
	for slot, p := range d.probes {
		if block := probeWords[probeSlot(slot)].block; p.path != "" && p.grpcService != "" {
			w.add(w.at(block+".grpc_service"), code.ManifestValue, block+" has both path and grpc_service", "keep the one that the process answers")
		}
	}
}

// checkProtocols refuses two protocols at once: replicas have one port.
func (w *walker) checkProtocols() {
	d := w.draft
	if d.public && d.internal && d.internalBackend != "" && protocolOf(d.internalBackend) != protocolOf(d.backend) {
		const block = "spec.load_balancing.internal_load_balancer.backend_protocol"
		w.add(w.at(block), code.ManifestNotBuilt,
			fmt.Sprintf("%s %s beside %s of the public endpoint is not built yet", block, d.internalBackend, d.backend), "write the same for both endpoints, or turn one off")
	}
}

func (w *walker) checkName(top position) {
	if _, named := w.seen["metadata.name"]; !named {
		if at, ok := w.seen["metadata"]; ok {
			top = at
		}
		w.add(top, code.ManifestMissing, "metadata.name is missing", "add the name of the service")
	}
	if len(w.draft.name) > naming.MaxLength {
		w.add(w.at("metadata.name"), code.ManifestValue, fmt.Sprintf("metadata.name has %d characters", len(w.draft.name)), fmt.Sprintf("use at most %d", naming.MaxLength))
	}
}

// at returns where the first of the named fields stands.
func (w *walker) at(paths ...string) position {
	for _, p := range paths {
		if at, ok := w.seen[p]; ok {
			return at
		}
	}
	return position{line: 1, column: 1}
}

// spec makes the revision spec, and the sentences about what was assumed.
func (d *draft) spec() (*runwayv1.RevisionSpec, []string) {
	var warnings []string
	if d.min == 0 {
		warnings = append(warnings, "min_instances 0 is kept at 1: services cannot wake from zero yet")
	}
	d.settle()
	spec := &runwayv1.RevisionSpec{
		Image:            &runwayv1.Image{Reference: d.image},
		ContainerPort:    uint32(d.port),
		Protocol:         d.protocol(),
		Resources:        d.resources(),
		Scale:            &runwayv1.ScalePolicy{Min: uint32(d.min), Max: uint32(d.max)},
		Public:           d.public,
		Internal:         d.internal,
		RequestTimeout:   seconds(d.requestTimeout),
		TerminationGrace: durationpb.New(defaults.TerminationGrace),
		DrainTimeout:     durationpb.New(defaults.DrainTimeout),
		Labels:           d.labels,
		Env:              d.env,
		Command:          d.command,
	}
	if d.template() {
		spec.Image.Reference = ""
		warnings = append(warnings, "spec.image "+clip(d.image)+" is filled in by nobody: name the image with --image")
	}
	if d.probes[liveness].declared {
		spec.LivenessProbe = d.declaredProbe(liveness)
	}
	if d.probes[readiness].declared {
		spec.ReadinessProbe = d.declaredProbe(readiness)
	}
	startupProbe, warning := d.startupProbe(spec)
	spec.StartupProbe = startupProbe
	if warning != "" {
		warnings = append(warnings, warning)
	}
	if d.worker() {
		spec.ContainerPort = 0
	}
	return spec, warnings
}

// protocol is what the process speaks on its port: to the public endpoint, unless
// there is only the internal one.
func (d *draft) protocol() runwayv1.Protocol {
	if !d.public && d.internalBackend != "" {
		return protocolOf(d.internalBackend)
	}
	return protocolOf(d.backend)
}

func protocolOf(backend string) runwayv1.Protocol {
	if backend == backendHTTP2 || backend == backendGRPC {
		return runwayv1.Protocol_PROTOCOL_H2C
	}
	return runwayv1.Protocol_PROTOCOL_HTTP1
}

// settle fills in what follows from other fields.
func (d *draft) settle() {
	d.min = max(d.min, 1)
	d.cpuRequest = cmp.Or(d.cpuRequest, defaults.CPURequestMilli(d.cpuLimit))
	d.diskRequest = cmp.Or(d.diskRequest, d.diskLimit, defaults.DiskBytes)
}

func (d *draft) resources() *runwayv1.Resources {
	return &runwayv1.Resources{
		CpuLimitMilli: d.cpuLimit, CpuRequestMilli: d.cpuRequest, MemoryBytes: d.memory,
		DiskBytes: d.diskRequest, Pids: defaults.Pids,
	}
}

// worker is a service without an endpoint and without a probe: nothing is asked of
// its port, so that it has none.
func (d *draft) worker() bool {
	return !d.public && !d.internal && !slices.ContainsFunc(d.probes[:], func(p probe) bool { return p.declared })
}

// portNumber is the port, which a worker has not.
func portNumber() rule {
	r := integer(1, 65535, func(d *draft) *int64 { return &d.port })
	get := r.get
	r.get = func(d *draft) any {
		if d.worker() {
			return nil
		}
		return get(d)
	}
	return r
}

// imageReference is the image, unless a chart was to fill it in.
func imageReference() rule {
	r := text("an image reference", func(d *draft) *string { return &d.image })
	get := r.get
	r.get = func(d *draft) any {
		if d.template() {
			return nil
		}
		return get(d)
	}
	return r
}

func seconds(n int64) *durationpb.Duration {
	return durationpb.New(time.Duration(n) * time.Second)
}
