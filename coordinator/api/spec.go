package api

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	"github.com/runway-platform/runway/proto/defaults"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// Bounds of a spec. They are far above what services need and keep one revision
// small, since every one is kept in memory and sent to nodes.
const (
	maxPort        = 65535
	maxReplicas    = 1000
	maxEnv         = 500
	maxEnvBytes    = 128 << 10
	maxLabels      = 64
	maxLabelBytes  = 256
	maxCommand     = 100
	maxCommandText = 16 << 10
	maxPath        = 1024
	maxTimeout     = time.Hour
	maxPids        = 1 << 20
)

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,255}$`)

// complete returns a copy of a spec with its defaults, which are those of a manifest, and sentences about what the
// user may not expect.
func complete(given *runwayv1.RevisionSpec) (*runwayv1.RevisionSpec, []string, error) {
	if given.GetImage().GetReference() == "" {
		return nil, nil, invalid(code.SpecInvalid, "the spec names no image")
	}
	spec := proto.CloneOf(given)
	spec.Image = &runwayv1.Image{Reference: given.GetImage().GetReference()}
	completeResources(spec)
	var warnings []string
	if spec.GetScale() == nil {
		spec.Scale = &runwayv1.ScalePolicy{}
	}
	if spec.GetScale().GetMin() == 0 {
		spec.Scale.Min = 1
		if given.GetScale() != nil {
			warnings = append(warnings, "min_instances 0 is kept at 1: wake from zero is not built yet")
		}
	}
	if spec.GetScale().GetMax() == 0 {
		spec.Scale.Max = max(spec.GetScale().GetMin(), 1)
	}
	if spec.GetContainerPort() != 0 && spec.GetProtocol() == runwayv1.Protocol_PROTOCOL_UNSPECIFIED {
		spec.Protocol = runwayv1.Protocol_PROTOCOL_HTTP1
	}
	if spec.GetContainerPort() != 0 && spec.GetStartupProbe() == nil {
		spec.StartupProbe = defaults.StartupProbe(spec)
	}
	if given.GetStartupProbe() == nil && given.GetReadinessProbe() == nil && spec.GetStartupProbe() != nil && !spec.GetStartupProbe().GetDeclared() {
		warnings = append(warnings, "no startup_probe is declared: any answer below 500 on / counts as ready")
	}
	setDuration(&spec.RequestTimeout, defaults.RequestTimeout)
	setDuration(&spec.TerminationGrace, defaults.TerminationGrace)
	setDuration(&spec.DrainTimeout, defaults.DrainTimeout)
	return spec, warnings, nil
}

func completeResources(spec *runwayv1.RevisionSpec) {
	if spec.GetResources() == nil {
		spec.Resources = &runwayv1.Resources{}
	}
	r := spec.Resources
	if r.CpuRequestMilli == 0 {
		r.CpuRequestMilli = defaults.CPURequestMilli(r.CpuLimitMilli)
	}
	if r.DiskBytes == 0 {
		r.DiskBytes = defaults.DiskBytes
	}
	if r.Pids == 0 {
		r.Pids = defaults.Pids
	}
}

func setDuration(field **durationpb.Duration, d time.Duration) {
	if *field == nil {
		*field = durationpb.New(d)
	}
}

// checkSpec names the first thing in a spec that is not allowed.
func checkSpec(spec *runwayv1.RevisionSpec) error {
	for _, check := range []func(*runwayv1.RevisionSpec) error{
		checkEndpoint, checkResources, checkScale, checkEnv, checkTexts, checkDurations,
	} {
		if err := check(spec); err != nil {
			return err
		}
	}
	for name, probe := range map[string]*runwayv1.Probe{
		"startup_probe": spec.GetStartupProbe(), "liveness_probe": spec.GetLivenessProbe(), "readiness_probe": spec.GetReadinessProbe(),
	} {
		if err := checkProbe(name, probe); err != nil {
			return err
		}
	}
	return nil
}

func checkEndpoint(spec *runwayv1.RevisionSpec) error {
	if spec.GetContainerPort() > maxPort {
		return invalid(code.SpecInvalid, "container_port is %d; ports end at %d", spec.GetContainerPort(), maxPort)
	}
	if spec.GetContainerPort() == 0 && (spec.GetPublic() || spec.GetInternal()) {
		return invalid(code.SpecInvalid, "a service with an endpoint needs container_port")
	}
	if _, known := runwayv1.Protocol_name[int32(spec.GetProtocol())]; !known {
		return invalid(code.SpecInvalid, "protocol %d is unknown", spec.GetProtocol())
	}
	return nil
}

func checkResources(spec *runwayv1.RevisionSpec) error {
	r := spec.GetResources()
	switch {
	case r.GetMemoryBytes() < defaults.MinMemoryBytes:
		return invalid(code.SpecInvalid, "resources.limits.memory is %d bytes; at least %d are needed", r.GetMemoryBytes(), defaults.MinMemoryBytes)
	case r.GetCpuLimitMilli() < defaults.MinCPUMilli:
		return invalid(code.SpecInvalid, "resources.limits.cpu is %dm; at least %dm is needed", r.GetCpuLimitMilli(), defaults.MinCPUMilli)
	case r.GetCpuRequestMilli() < 0 || r.GetCpuRequestMilli() > r.GetCpuLimitMilli():
		return invalid(code.SpecInvalid, "resources.requests.cpu is %dm; it must be between 0 and the limit of %dm", r.GetCpuRequestMilli(), r.GetCpuLimitMilli())
	case r.GetDiskBytes() < 0 || r.GetPids() < 1 || r.GetPids() > maxPids:
		return invalid(code.SpecInvalid, "disk of %d bytes or %d processes is out of range", r.GetDiskBytes(), r.GetPids())
	}
	return nil
}

func checkScale(spec *runwayv1.RevisionSpec) error {
	scale := spec.GetScale()
	if scale.GetMin() > scale.GetMax() || scale.GetMax() > maxReplicas {
		return invalid(code.SpecInvalid, "scalability is %d to %d instances; it must rise and end at most at %d", scale.GetMin(), scale.GetMax(), maxReplicas)
	}
	return nil
}

// checkEnv never repeats a value.
func checkEnv(spec *runwayv1.RevisionSpec) error {
	if len(spec.GetEnv()) > maxEnv {
		return invalid(code.EnvironmentVariable, "%d environment variables; at most %d are allowed", len(spec.GetEnv()), maxEnv)
	}
	total := 0
	for name, value := range spec.GetEnv() {
		total += len(name) + len(value)
		switch {
		case !envName.MatchString(name):
			return invalid(code.EnvironmentVariable, "environment variable name %q is not allowed", cut(name))
		case name == "PORT" || name == "LD_PRELOAD" || strings.HasPrefix(name, "RUNWAY_"):
			return invalid(code.EnvironmentVariable, "environment variable %s is reserved", cut(name))
		case strings.ContainsRune(value, 0):
			return invalid(code.EnvironmentVariable, "environment variable %s has a NUL byte", cut(name))
		}
	}
	if total > maxEnvBytes {
		return invalid(code.EnvironmentVariable, "environment variables have %d bytes together; at most %d are allowed", total, maxEnvBytes)
	}
	return nil
}

func checkTexts(spec *runwayv1.RevisionSpec) error {
	if len(spec.GetLabels()) > maxLabels || len(spec.GetCommand()) > maxCommand {
		return invalid(code.SpecInvalid, "%d labels and %d command words; at most %d and %d are allowed",
			len(spec.GetLabels()), len(spec.GetCommand()), maxLabels, maxCommand)
	}
	for name, value := range spec.GetLabels() {
		if len(name)+len(value) > maxLabelBytes {
			return invalid(code.SpecInvalid, "label %q has more than %d bytes", cut(name), maxLabelBytes)
		}
	}
	total := 0
	for _, word := range spec.GetCommand() {
		total += len(word)
		if strings.ContainsRune(word, 0) {
			return invalid(code.SpecInvalid, "a command word has a NUL byte")
		}
	}
	if total > maxCommandText {
		return invalid(code.SpecInvalid, "the command has %d bytes; at most %d are allowed", total, maxCommandText)
	}
	return nil
}

func checkDurations(spec *runwayv1.RevisionSpec) error {
	return inRange(map[string]*durationpb.Duration{
		"request_timeout": spec.GetRequestTimeout(), "termination_grace": spec.GetTerminationGrace(), "drain_timeout": spec.GetDrainTimeout(),
	})
}

func checkProbe(name string, probe *runwayv1.Probe) error {
	if probe == nil {
		return nil
	}
	if _, known := runwayv1.ProbeKind_name[int32(probe.GetKind())]; !known || probe.GetKind() == 0 {
		return invalid(code.SpecInvalid, "%s has no known kind", name)
	}
	httpPath := probe.GetKind() == runwayv1.ProbeKind_PROBE_KIND_HTTP
	if len(probe.GetPath()) > maxPath || httpPath && !strings.HasPrefix(probe.GetPath(), "/") || strings.ContainsFunc(probe.GetPath(), notVisible) {
		return invalid(code.SpecInvalid, "%s.path %q is not a path", name, cut(probe.GetPath()))
	}
	if len(probe.GetGrpcService()) > maxPath {
		return invalid(code.SpecInvalid, "%s.grpc_service is longer than %d", name, maxPath)
	}
	if period := probe.GetPeriod().AsDuration(); period > 0 && period < defaults.ShortestProbePeriod {
		return invalid(code.SpecInvalid, "%s.period of %s is shorter than %s", name, period, defaults.ShortestProbePeriod)
	}
	if threshold := probe.GetFailureThreshold(); threshold > defaults.MostProbeFailures {
		return invalid(code.SpecInvalid, "%s.failure_threshold of %d is more than %d", name, threshold, defaults.MostProbeFailures)
	}
	return inRange(map[string]*durationpb.Duration{
		name + ".initial_delay": probe.GetInitialDelay(), name + ".timeout": probe.GetTimeout(), name + ".period": probe.GetPeriod(),
	})
}

func inRange(durations map[string]*durationpb.Duration) error {
	for name, d := range durations {
		if d != nil && (!d.IsValid() || d.AsDuration() < 0 || d.AsDuration() > maxTimeout) {
			return invalid(code.SpecInvalid, "%s is not between 0 and %s", name, maxTimeout)
		}
	}
	return nil
}

func notVisible(r rune) bool { return r <= ' ' || r == 0x7f }

// fitsSomeNode refuses limits that no machine of the cluster has, however empty.
// Without any node nothing is known, and placement will say so.
func fitsSomeNode(view *state.View, r *runwayv1.Resources) error {
	var cpu, memory, disk int64
	nodes := view.Nodes()
	for _, n := range nodes {
		facts := n.GetFacts()
		if r.GetCpuLimitMilli() <= facts.GetCapacityCpuMilli() && r.GetMemoryBytes() <= facts.GetAllocatableMemoryBytes() &&
			r.GetDiskBytes() <= facts.GetAllocatableDiskBytes() && r.GetCpuRequestMilli() <= facts.GetAllocatableCpuMilli() {
			return nil
		}
		cpu = max(cpu, facts.GetCapacityCpuMilli())
		memory = max(memory, facts.GetAllocatableMemoryBytes())
		disk = max(disk, facts.GetAllocatableDiskBytes())
	}
	if len(nodes) == 0 {
		return nil
	}
	return invalid(code.LargerThanAnyNode, "limits of %s are larger than any node; the largest have %s",
		amounts(r.GetCpuLimitMilli(), r.GetMemoryBytes(), r.GetDiskBytes()), amounts(cpu, memory, disk))
}

func amounts(cpu, memory, disk int64) string {
	const mib = 1 << 20
	return fmt.Sprintf("%dm CPU, %d MiB memory, %d MiB disk", cpu, memory/mib, disk/mib)
}
