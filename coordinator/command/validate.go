package command

import (
	"regexp"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	"github.com/runway-platform/runway/proto/name"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

const (
	// maxSpec bounds a revision's spec, in bytes; see RevisionsKept for what that
	// adds up to.
	maxSpec = 256 << 10
	// maxText bounds sentences that others wrote, in bytes.
	maxText = 1 << 10
	// maxEvidence bounds the transcript lines of a cause: enough for a probe's
	// answer, sockets and the last 50 lines of a log, of which an agent sends 66.
	maxEvidence = 80
	// maxID bounds identifiers: a ULID has 26 characters, a machine name 63.
	maxID = 128
)

var (
	// identifier is what ids are made of; none can be confused with a path.
	identifier = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)
)

// checkLabel refuses names that cannot be part of a host name.
func checkLabel(what, chosen string) error {
	if !name.IsLabel(chosen) {
		return reject(ErrInvalid, code.NameInvalid, "%s %q is not a name", what, chosen)
	}
	return nil
}

// checkID refuses identifiers that could be mistaken for something else.
func checkID(what, id string) error {
	if len(id) > maxID || !identifier.MatchString(id) {
		return reject(ErrInvalid, code.SpecInvalid, "%s %q is not an identifier", what, id)
	}
	return nil
}

// checkKey refuses workload keys with a part that is not a name.
func checkKey(key *runwayv1.WorkloadKey) error {
	if err := checkLabel("space", key.GetSpace()); err != nil {
		return err
	}
	if err := checkLabel("service", key.GetService()); err != nil {
		return err
	}
	return checkLabel("environment", key.GetEnvironment())
}

// checkRegion refuses regions that the cluster does not have.
func checkRegion(tx *state.Tx, region string) error {
	if !slices.Contains(tx.Cluster().GetRegions(), region) {
		return reject(ErrInvalid, code.SpecInvalid, "the cluster has no region %q", region)
	}
	return nil
}

// checkSpec refuses specs that no node could run. What the manifest allows beyond
// that was checked before the command was made.
func checkSpec(spec *runwayv1.RevisionSpec) error {
	resources, scale := spec.GetResources(), spec.GetScale()
	switch {
	case proto.Size(spec) > maxSpec:
		return reject(ErrInvalid, code.SpecInvalid, "the spec has %d bytes; the most is %d", proto.Size(spec), maxSpec)
	case spec.GetImage().GetResolved() == "":
		return reject(ErrInvalid, code.SpecInvalid, "image %q is not resolved to a digest", spec.GetImage().GetReference())
	case spec.GetContainerPort() > maxPort:
		return reject(ErrInvalid, code.SpecInvalid, "container port %d is above %d", spec.GetContainerPort(), maxPort)
	case min(resources.GetCpuRequestMilli(), resources.GetCpuLimitMilli(), resources.GetMemoryBytes(), resources.GetDiskBytes(), resources.GetPids()) < 0:
		return reject(ErrInvalid, code.SpecInvalid, "a resource is negative")
	case resources.GetCpuRequestMilli() > maxMilliCPU || resources.GetMemoryBytes() > maxBytes || resources.GetDiskBytes() > maxBytes:
		return reject(ErrInvalid, code.LargerThanAnyNode, "a resource is larger than any machine")
	case scale.GetMax() < scale.GetMin():
		return reject(ErrInvalid, code.SpecInvalid, "scale has min %d above max %d", scale.GetMin(), scale.GetMax())
	}
	return nil
}

// bounded cuts text that others wrote to what the state keeps.
func bounded(text string) string {
	if len(text) <= maxText {
		return text
	}
	return strings.ToValidUTF8(text[:maxText], "") + "..."
}

// boundedCause cuts a cause to what the state keeps: its first lines.
func boundedCause(cause *runwayv1.Cause) *runwayv1.Cause {
	if cause == nil {
		return nil
	}
	kept := &runwayv1.Cause{Code: bounded(cause.GetCode()), Summary: bounded(cause.GetSummary()), Fix: bounded(cause.GetFix())}
	for _, line := range cause.GetEvidence()[:min(len(cause.GetEvidence()), maxEvidence)] {
		kept.Evidence = append(kept.Evidence, bounded(line))
	}
	return kept
}
