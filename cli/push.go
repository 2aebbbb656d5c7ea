package cli

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// pushArchive pushes an archive to the cluster's registry as SPACE/SERVICE and
// returns the reference with its digest.
func (a *app) pushArchive(ctx context.Context, c *clients, steps *progress, kind, file string, key *runwayv1.WorkloadKey) (string, error) {
	info, err := ask(ctx, c.cluster.Info, &runwayv1.InfoRequest{})
	if err != nil {
		return "", err
	}
	if info.GetRegistry() == "" {
		return "", fail(code.NoRegistry, "push %s: the cluster has no registry", file)
	}
	archive, err := openArchive(kind, file)
	if err != nil {
		return "", err
	}
	defer archive.remove()
	started := a.Now()
	target, err := repository(info.GetRegistry(), key, archive.digest)
	if err != nil {
		return "", err
	}
	if err := upload(ctx, steps, archive, target); err != nil {
		return "", pushFailure(ctx, file, info.GetRegistry(), err)
	}
	steps.step("image pushed as %s in %s", shortImage(&runwayv1.Image{Resolved: target.Name()}), a.Now().Sub(started).Round(10*time.Millisecond))
	return target.Name(), nil
}

// repository is where an archive goes. Registries on this machine speak plain HTTP.
func repository(registry string, key *runwayv1.WorkloadKey, digest v1.Hash) (name.Digest, error) {
	var options []name.Option
	if loopback(registry) {
		options = append(options, name.Insecure)
	}
	_, err := name.NewRegistry(registry, options...)
	target, digestErr := name.NewDigest(fmt.Sprintf("%s/%s/%s@%s", registry, key.GetSpace(), key.GetService(), digest), options...)
	if err := errors.Join(err, digestErr); err != nil {
		return name.Digest{}, fail(code.NoRegistry, "the cluster's registry %q is not HOST:PORT: %v", registry, err)
	}
	return target, nil
}

func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// upload pushes and shows how far it is. The channel is read until the push is
// over, whatever the library does with it on early failures.
func upload(ctx context.Context, steps *progress, archive *archive, target name.Digest) error {
	const buffered = 16
	updates, done := make(chan v1.Update, buffered), make(chan error, 1)
	options := []remote.Option{remote.WithContext(ctx), remote.WithProgress(updates), remote.WithAuthFromKeychain(authn.DefaultKeychain)}
	go func() {
		if archive.index != nil {
			done <- remote.WriteIndex(target, archive.index, options...)
			return
		}
		done <- remote.Write(target, archive.image, options...)
	}()
	show := steps.ofPush()
	for {
		select {
		case u, open := <-updates:
			if !open {
				return <-done
			}
			show(u)
		case err := <-done:
			for range len(updates) { // a small image is pushed before the first was read
				show(<-updates)
			}
			return err
		}
	}
}

// ofPush returns what shows an update that is far enough from the one before.
func (p *progress) ofPush() func(v1.Update) {
	shown, every := -1, pushStep
	if p.a.redraws(p.a.StderrTerminal) {
		every = 1
	}
	return func(u v1.Update) {
		if percent := percentOf(u); percent/every > shown {
			shown = percent / every
			p.now("image is being pushed: %d%% of %s", percent, size(u.Total))
		}
	}
}

// pushStep is how many percent are one line of progress where lines stay.
const pushStep = 50

func percentOf(u v1.Update) int {
	if u.Total <= 0 {
		return 0
	}
	return int(100 * u.Complete / u.Total)
}

// pushFailure tells a refusal, a broken archive and an absent registry apart.
func pushFailure(ctx context.Context, file, registry string, err error) error {
	var refused *transport.Error
	switch {
	case ctx.Err() != nil:
		return err
	case errors.As(err, &refused) && (refused.StatusCode == http.StatusUnauthorized || refused.StatusCode == http.StatusForbidden):
		return fail(code.ImageDenied, "push %s to %s: %v", file, registry, err)
	case errors.As(err, &refused) && refused.StatusCode == http.StatusBadRequest,
		errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, tar.ErrHeader):
		return fail(code.ImageArchiveInvalid, "push %s: %v", file, err)
	}
	return fail(code.RegistryUnreachable, "push %s to %s: %v", file, registry, err)
}
