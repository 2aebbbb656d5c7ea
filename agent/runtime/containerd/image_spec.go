package containerd

import (
	"context"
	"slices"
	"strings"
	"sync"

	client "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// maxImageSpecs bounds what is remembered; a node runs far fewer images at a time.
const maxImageSpecs = 256

// imageSpec is what of a container's spec follows from its image alone: command, environment, folder and user.
type imageSpec struct {
	args, env []string
	cwd       string
	user      specs.User
}

// imageSpecs remembers images that were read and found safe. To look up a user and to check a root filesystem it has to be
// mounted, up to three times a container: a fifth of the time that Create takes. What a digest names
// never changes.
type imageSpecs struct {
	mu    sync.Mutex
	known map[string]imageSpec
	reads *turns
}

func newImageSpecs() *imageSpecs {
	return &imageSpecs{known: map[string]imageSpec{}, reads: newTurns()}
}

func (i *imageSpecs) get(key string) (imageSpec, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	found, ok := i.known[key]
	return found, ok
}

func (i *imageSpecs) put(key string, spec imageSpec) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.known) >= maxImageSpecs {
		clear(i.known)
	}
	i.known[key] = spec
}

// withImage takes over what the image says, and refuses one that is not safe: users out of range, links at mount points.
func (r *Runtime) withImage(image client.Image, args []string) oci.SpecOpts {
	return func(ctx context.Context, c oci.Client, container *containers.Container, s *oci.Spec) error {
		key := strings.Join(append([]string{image.Target().Digest.String()}, args...), "\x00")
		release, err := r.images.reads.take(ctx, key) // many replicas start at once: one of them reads
		if err != nil {
			return err
		}
		defer release()
		if known, ok := r.images.get(key); ok {
			known.apply(s)
			return nil
		}
		for _, read := range []oci.SpecOpts{oci.WithImageConfigArgs(image, args), withSafeRoot} {
			if err := read(ctx, c, container, s); err != nil {
				return err
			}
		}
		r.images.put(key, imageSpecOf(s))
		return nil
	}
}

// imageSpecOf copies, for what comes next changes the spec.
func imageSpecOf(s *oci.Spec) imageSpec {
	user := s.Process.User
	user.AdditionalGids = slices.Clone(user.AdditionalGids)
	return imageSpec{args: slices.Clone(s.Process.Args), env: slices.Clone(s.Process.Env), cwd: s.Process.Cwd, user: user}
}

func (i imageSpec) apply(s *oci.Spec) {
	s.Process.Args, s.Process.Env, s.Process.Cwd, s.Process.User = slices.Clone(i.args), slices.Clone(i.env), i.cwd, i.user
	s.Process.User.AdditionalGids = slices.Clone(i.user.AdditionalGids)
}
