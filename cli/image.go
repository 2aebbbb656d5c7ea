package cli

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/runway-platform/runway/manifest"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// Kinds of archives, as skopeo names them.
const (
	dockerArchive = "docker-archive:"
	ociArchive    = "oci-archive:"
)

// image returns the reference to deploy: the one that is named, or that of the
// archive after it was pushed.
func (a *app) image(ctx context.Context, c *clients, steps *progress, flag string, m *manifest.Manifest, key *runwayv1.WorkloadKey) (string, error) {
	if kind, file, ok := archiveOf(flag); ok {
		return a.pushArchive(ctx, c, steps, kind, file, key)
	}
	reference := flag
	if reference == "" {
		var err error
		if reference, err = a.expand(m.Spec.GetImage().GetReference()); err != nil {
			return "", err
		}
	}
	if reference == "" {
		return "", &failure{exit: exitRejected, code: code.ManifestMissing, summary: "no image", fix: "name one with --image, or as spec.image in " + m.Files[0]}
	}
	if _, err := name.ParseReference(reference); err != nil {
		return "", fail(code.SpecInvalid, "image %q is not a reference: %v", reference, err)
	}
	return reference, nil
}

// archiveOf splits docker-archive:FILE and oci-archive:FILE.
func archiveOf(image string) (kind, file string, ok bool) {
	for _, kind := range []string{dockerArchive, ociArchive} {
		if file, ok := strings.CutPrefix(image, kind); ok {
			return kind, file, true
		}
	}
	return "", "", false
}

// expand replaces $VARIABLES in spec.image, as CI systems do.
func (a *app) expand(reference string) (string, error) {
	var missing []string
	expanded := os.Expand(reference, func(variable string) string {
		value, ok := a.LookupEnv(variable)
		if !ok {
			missing = append(missing, variable)
		}
		return value
	})
	if len(missing) > 0 {
		return "", &failure{
			exit: exitRejected, code: code.ManifestValue, summary: fmt.Sprintf("spec.image %q: %s not set", reference, strings.Join(missing, ", ")),
			fix: "set the variable, or name the image with --image",
		}
	}
	return expanded, nil
}
