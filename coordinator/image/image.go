// Package image finds out which image a reference means: it asks the registry once
// and returns the digest, which is all that is ever pulled. It pulls nothing.
package image

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// timeout bounds a resolution, retries included: a registry that takes longer would
// not deliver the image in time either.
const timeout = 10 * time.Second

// maxReference bounds what users may name, in bytes.
const maxReference = 1024

// Why an image cannot be resolved.
var (
	// ErrInvalid: the reference is malformed or what it names is not an image.
	ErrInvalid = errors.New("not a usable image")
	// ErrNotFound: the registry does not have it.
	ErrNotFound = errors.New("image not found")
	// ErrDenied: the registry refuses to give it to us.
	ErrDenied = errors.New("image access denied")
	// ErrPlatform: it is for other machines.
	ErrPlatform = errors.New("image is for another platform")
	// ErrUnreachable: the registry does not answer, or not in time.
	ErrUnreachable = errors.New("registry is unreachable")
)

// Config of a Resolver.
type Config struct {
	// PlainHTTP are registries (host:port) that are asked without TLS. Those on
	// loopback always may be.
	PlainHTTP []string
	// Architecture of the nodes; empty means this machine's.
	Architecture string
}

// Resolver asks registries. Safe for concurrent use.
type Resolver struct {
	platform  v1.Platform
	plainHTTP map[string]bool
	transport http.RoundTripper
}

// New returns a resolver.
func New(config Config) *Resolver {
	r := &Resolver{
		platform:  v1.Platform{OS: "linux", Architecture: config.Architecture},
		plainHTTP: map[string]bool{},
	}
	if r.platform.Architecture == "" {
		r.platform.Architecture = runtime.GOARCH
	}
	for _, host := range config.PlainHTTP {
		r.plainHTTP[host] = true
	}
	r.transport = &guard{inner: newTransport(), plain: r.allowsPlain}
	return r
}

// Resolve returns registry/repository@sha256:... for a reference that users write.
// The error wraps one of the errors above.
func (r *Resolver) Resolve(ctx context.Context, reference string) (string, error) {
	ref, err := r.parse(reference)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	descriptor, err := remote.Get(ref, r.options(ctx)...)
	if err != nil {
		return "", fmt.Errorf("resolve image %q: %w", reference, classify(ctx, err))
	}
	if err := r.checkPlatform(ctx, descriptor); err != nil {
		return "", fmt.Errorf("resolve image %q: %w", reference, err)
	}
	return canonical(ref) + "@" + descriptor.Digest.String(), nil
}

func (r *Resolver) parse(reference string) (name.Reference, error) {
	if len(reference) > maxReference {
		return nil, fmt.Errorf("image reference of %d bytes: %w", len(reference), ErrInvalid)
	}
	options := []name.Option{}
	if host, _, ok := strings.Cut(reference, "/"); ok && r.allowsPlain(host) {
		options = append(options, name.Insecure)
	}
	ref, err := name.ParseReference(reference, options...)
	if err != nil {
		return nil, fmt.Errorf("image reference %q: %w: %w", reference, ErrInvalid, err)
	}
	for _, part := range strings.Split(ref.Context().RepositoryStr(), "/") {
		if part == "" || strings.Trim(part, ".") == "" {
			return nil, fmt.Errorf("image reference %q: %w", reference, ErrInvalid)
		}
	}
	return ref, nil
}

func (r *Resolver) options(ctx context.Context) []remote.Option {
	return []remote.Option{
		remote.WithContext(ctx),
		remote.WithAuth(authn.Anonymous),
		remote.WithTransport(r.transport),
		remote.WithRetryBackoff(remote.Backoff{Duration: 100 * time.Millisecond, Factor: 2, Jitter: 0.1, Steps: 3}),
		remote.WithPlatform(r.platform),
		remote.WithUserAgent("runway"),
	}
}

// checkPlatform makes sure that the nodes can run it: an index must list their
// platform, a single image must be for it.
func (r *Resolver) checkPlatform(ctx context.Context, descriptor *remote.Descriptor) error {
	if descriptor.MediaType.IsIndex() {
		return r.checkIndex(descriptor)
	}
	if !descriptor.MediaType.IsImage() {
		return fmt.Errorf("media type %q: %w", descriptor.MediaType, ErrInvalid)
	}
	image, err := descriptor.Image()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		return classify(ctx, err)
	}
	if !r.runs(config.Platform()) {
		return fmt.Errorf("image is for %s, nodes are %s: %w", config.Platform(), r.platform, ErrPlatform)
	}
	return nil
}

func (r *Resolver) checkIndex(descriptor *remote.Descriptor) error {
	index, err := descriptor.ImageIndex()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	var has []string
	for _, m := range manifest.Manifests {
		if r.runs(m.Platform) {
			return nil
		}
		if m.Platform != nil {
			has = append(has, m.Platform.String())
		}
	}
	return fmt.Errorf("image is for %s, nodes are %s: %w", strings.Join(has, ", "), r.platform, ErrPlatform)
}

func (r *Resolver) runs(p *v1.Platform) bool {
	return p != nil && p.OS == r.platform.OS && p.Architecture == r.platform.Architecture
}

func (r *Resolver) allowsPlain(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || ip != nil && ip.IsLoopback() || r.plainHTTP[hostport]
}

// canonical names the repository as the runtime does: Docker Hub has two names.
func canonical(ref name.Reference) string {
	repository := ref.Context().Name()
	if rest, ok := strings.CutPrefix(repository, name.DefaultRegistry+"/"); ok {
		return "docker.io/" + rest
	}
	return repository
}
