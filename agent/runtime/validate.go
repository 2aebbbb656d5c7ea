package runtime

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/opencontainers/go-digest"
)

// maxEnvironment bounds command and environment together: half of the 2 MiB that the kernel takes at execve with the default
// stack, so that a refusal has words instead of "argument list too long".
const maxEnvironment = 1 << 20

// idForm is containerd's rule for identifiers; such an ID is also a safe file name and cgroup name.
var idForm = regexp.MustCompile(`^[A-Za-z0-9]+([._-][A-Za-z0-9]+)*$`)

// maxID is containerd's limit for identifiers.
const maxID = 76

// reservedLabels are read by containerd, its CRI plugin and nerdctl as orders.
var reservedLabels = []string{"containerd.io/", "io.cri-containerd", "nerdctl/"}

// Validate reports everything in the spec that no Runtime may accept, as ErrInvalid.
func (s ContainerSpec) Validate() error {
	var problems []error
	if err := s.ID.Validate(); err != nil {
		problems = append(problems, err)
	}
	if _, err := ParseDigest(s.Image); err != nil {
		problems = append(problems, err)
	}
	if s.LogPath == "" {
		problems = append(problems, fmt.Errorf("no log path: %w", ErrInvalid))
	}
	problems = append(problems, s.Resources.validate()...)
	problems = append(problems, s.validateEnvironment()...)
	for key := range s.Labels {
		if IsReservedLabel(key) {
			problems = append(problems, fmt.Errorf("label %q is reserved: %w", key, ErrInvalid))
		}
	}
	return errors.Join(problems...)
}

// Validate reports an ID that could not name a file, a cgroup and a containerd object.
func (id ContainerID) Validate() error {
	if len(id) > maxID || !idForm.MatchString(string(id)) {
		return fmt.Errorf("container id %q: want at most %d letters and digits, separated by single . _ or -: %w", id, maxID, ErrInvalid)
	}
	return nil
}

// ParseDigest returns the digest of a reference "repository@sha256:...", or ErrInvalid for anything else.
func ParseDigest(ref string) (digest.Digest, error) {
	_, text, found := strings.Cut(ref, "@")
	if !found {
		return "", fmt.Errorf("image %q: no digest: %w", ref, ErrInvalid)
	}
	parsed, err := digest.Parse(text)
	if err != nil {
		return "", fmt.Errorf("image %q: %w: %w", ref, ErrInvalid, err)
	}
	return parsed, nil
}

// IsReservedLabel reports whether a label key would be read as an order by software on the node.
func IsReservedLabel(key string) bool {
	for _, prefix := range reservedLabels {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}

func (r Resources) validate() []error {
	var problems []error
	if r.Memory <= 0 {
		problems = append(problems, fmt.Errorf("memory limit %d: must be set: %w", r.Memory, ErrInvalid))
	}
	if r.CPULimit < 0 || r.CPUReservation < 0 || r.Pids < 0 {
		problems = append(problems, fmt.Errorf("negative limit: cpu %d, cpu reservation %d, pids %d: %w", r.CPULimit, r.CPUReservation, r.Pids, ErrInvalid))
	}
	return problems
}

func (s ContainerSpec) validateEnvironment() []error {
	var problems []error
	size := 0
	for i, line := range s.Env {
		if key, _, found := strings.Cut(line, "="); !found || key == "" || strings.ContainsRune(line, 0) { // no text: it may be secret
			problems = append(problems, fmt.Errorf("environment line %d: want KEY=value: %w", i+1, ErrInvalid))
		}
		size += len(line)
	}
	for _, word := range append(append([]string{}, s.Command...), s.Args...) {
		size += len(word)
	}
	if size > maxEnvironment {
		problems = append(problems, fmt.Errorf("command and environment have %d bytes, limit %d: %w", size, maxEnvironment, ErrInvalid))
	}
	return problems
}
