package main

import (
	"context"
	"fmt"
	"os/exec"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/runway-platform/runway/manifest"
)

const (
	example     = "./examples/hello"
	exampleFile = example + "/runway.yml"
	space       = "default"
	environment = "production"
	// domain is what `runway dev` publishes under.
	domain = "runway.localhost"
)

// prepareImage builds the example's image, pushes it, and reads the manifest.
func (c *cluster) prepareImage(ctx context.Context) error {
	archive := c.path("image.tar")
	if out, err := exec.CommandContext(ctx, "go", "run", "./examples/build", "-o", archive, example).CombinedOutput(); err != nil {
		return fmt.Errorf("build image: %w: %s", err, strings.TrimSpace(string(out)))
	}
	image, err := tarball.ImageFromPath(archive, nil)
	if err != nil {
		return fmt.Errorf("read image: %w", err)
	}
	digest, err := image.Digest()
	if err != nil {
		return fmt.Errorf("read image: %w", err)
	}
	c.image = fmt.Sprintf("%s/%s/bench@%s", c.registry, space, digest)
	target, err := name.NewDigest(c.image, name.Insecure)
	if err != nil {
		return fmt.Errorf("name image: %w", err)
	}
	if err := remote.Write(target, image, remote.WithContext(ctx)); err != nil {
		return fmt.Errorf("push image: %w", err)
	}
	m, err := manifest.Load(manifest.Source{Path: exampleFile, Service: "bench", Environment: environment})
	if err != nil {
		return fmt.Errorf("read manifest: %w", err)
	}
	c.spec = m.Spec
	return nil
}
