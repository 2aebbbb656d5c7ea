package containerd

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	client "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/containerd/errdefs"
	"github.com/containerd/nerdctl/v2/pkg/api/types"
	"github.com/containerd/nerdctl/v2/pkg/imgutil"
	"github.com/containerd/nerdctl/v2/pkg/imgutil/dockerconfigresolver"
	"github.com/containerd/nerdctl/v2/pkg/referenceutil"
	"github.com/containerd/platforms"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/runway-platform/runway/agent/runtime"
)

// maxIndex bounds the list of an image's variants that we read: containerd's own limit for manifests.
const maxIndex = 8 << 20

// Pull makes the image present and unpacked. It is nerdctl's EnsureImage with the credentials of the request, and with the
// steps apart so that each failure has its class.
func (r *Runtime) Pull(ctx context.Context, req runtime.PullRequest) (runtime.Image, error) {
	image, err := r.pull(ctx, req)
	if err != nil {
		return runtime.Image{}, fmt.Errorf("pull image %q: %w", req.Ref, classifyPull(err))
	}
	return image, nil
}

func (r *Runtime) pull(ctx context.Context, req runtime.PullRequest) (runtime.Image, error) {
	digest, err := runtime.ParseDigest(req.Ref)
	if err != nil {
		return runtime.Image{}, err
	}
	ctx, cancel := r.bound(ctx, pullTimeout)
	defer cancel()
	ensured, err := r.present(ctx, req.Ref)
	if errdefs.IsNotFound(err) && !req.LocalOnly {
		ensured, err = r.obtain(ctx, req)
	}
	if err != nil {
		return runtime.Image{}, err
	}
	if err := checkPlatform(ctx, ensured.Image); err != nil {
		return runtime.Image{}, err
	}
	config := ensured.ImageConfig
	return runtime.Image{Ref: req.Ref, Digest: digest.String(), User: config.User, StopSignal: config.StopSignal}, nil
}

// obtain fetches an image, unless somebody else just did: who comes second finds it present.
func (r *Runtime) obtain(ctx context.Context, req runtime.PullRequest) (*imgutil.EnsuredImage, error) {
	release, err := r.pulls.take(ctx, req.Ref)
	if err != nil {
		return nil, err
	}
	defer release()
	ensured, err := r.present(ctx, req.Ref)
	if errdefs.IsNotFound(err) {
		ensured, err = r.fetch(ctx, req)
	}
	if err != nil && ctx.Err() == nil && !r.serves(ctx) {
		return nil, fmt.Errorf("%w: %w", runtime.ErrUnavailable, err) // not the registry's fault
	}
	return ensured, err
}

// serves asks containerd whether it is there.
func (r *Runtime) serves(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, redialTimeout)
	defer cancel()
	serving, err := r.client.IsServing(ctx)
	return err == nil && serving
}

// present returns the image if the node has it, unpacked.
func (r *Runtime) present(ctx context.Context, ref string) (*imgutil.EnsuredImage, error) {
	ensured, err := imgutil.GetExistingImage(ctx, r.client, r.config.Snapshotter, ref, platforms.DefaultSpec())
	if err != nil && !errdefs.IsNotFound(err) {
		return nil, classify(err)
	}
	return ensured, err
}

// fetch asks the registry.
func (r *Runtime) fetch(ctx context.Context, req runtime.PullRequest) (*imgutil.EnsuredImage, error) {
	parsed, err := referenceutil.Parse(req.Ref)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", runtime.ErrInvalid, err)
	}
	resolver, err := dockerconfigresolver.New(ctx, parsed.Domain, resolverOptions(req, parsed.Domain)...)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", runtime.ErrInvalid, err)
	}
	if err := checkVariants(ctx, resolver, parsed.String()); err != nil {
		return nil, err
	}
	return imgutil.PullImage(ctx, r.client, resolver, parsed.String(), types.ImagePullOptions{
		GOptions:        types.GlobalCommandOptions{Snapshotter: r.config.Snapshotter},
		OCISpecPlatform: []ocispec.Platform{platforms.DefaultSpec()},
		Quiet:           true,
	})
}

// resolverOptions hands credentials to the registry of the reference alone, never to a mirror or a redirect.
func resolverOptions(req runtime.PullRequest, domain string) []dockerconfigresolver.Opt {
	var options []dockerconfigresolver.Opt
	if req.PlainHTTP {
		options = append(options, dockerconfigresolver.WithPlainHTTP(true))
	}
	if req.Credentials != nil {
		options = append(options, dockerconfigresolver.WithAuthCreds(credentialsFor(*req.Credentials, domain)))
	}
	return options
}

func credentialsFor(credentials runtime.Credentials, domain string) dockerconfigresolver.AuthCreds {
	allowed := map[string]bool{domain: true}
	if domain == "docker.io" { // whose registry has another name
		allowed["registry-1.docker.io"], allowed["index.docker.io"] = true, true
	}
	return func(host string) (string, string, error) {
		if !allowed[host] {
			return "", "", nil
		}
		return credentials.Username, credentials.Password, nil
	}
}

// checkVariants finds out before the download whether a list of variants has one for this node: containerd reports that, a
// missing manifest and a missing layer by one and the same error.
func checkVariants(ctx context.Context, resolver remotes.Resolver, ref string) error {
	name, descriptor, err := resolver.Resolve(ctx, ref)
	if err != nil || !images.IsIndexType(descriptor.MediaType) {
		return err
	}
	fetcher, err := resolver.Fetcher(ctx, name)
	if err != nil {
		return err
	}
	body, err := fetcher.Fetch(ctx, descriptor)
	if err != nil {
		return err
	}
	defer body.Close()
	var index ocispec.Index
	if err := json.NewDecoder(io.LimitReader(body, maxIndex)).Decode(&index); err != nil {
		return fmt.Errorf("%w: %w", runtime.ErrImageCorrupt, err)
	}
	return matchVariant(index)
}

func matchVariant(index ocispec.Index) error {
	var offered []string
	for _, manifest := range index.Manifests {
		if manifest.Platform == nil || platforms.DefaultStrict().Match(*manifest.Platform) {
			return nil
		}
		offered = append(offered, platforms.Format(*manifest.Platform))
	}
	return fmt.Errorf("%w: want %s, it has %q", runtime.ErrImagePlatform, platforms.DefaultString(), offered)
}

// checkPlatform refuses a single manifest made for another platform, which containerd would unpack and run.
func checkPlatform(ctx context.Context, image client.Image) error {
	spec, err := image.Spec(ctx)
	if err != nil {
		return classify(err)
	}
	if !platforms.DefaultStrict().Match(spec.Platform) {
		return fmt.Errorf("%w: want %s, it is %s", runtime.ErrImagePlatform, platforms.DefaultString(), platforms.Format(spec.Platform))
	}
	return nil
}
