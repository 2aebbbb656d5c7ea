//go:build e2e

package containerd_test

import (
	"archive/tar"
	"bytes"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/runway-platform/runway/agent/runtime"
	"github.com/runway-platform/runway/agent/runtimetest"
)

const (
	user     = "team"
	password = "secret"
)

// images is a registry on the loopback address with images of the probe program.
type images struct {
	address string
	layer   v1.Layer
	close   func()
}

// newImages starts the registry and builds the program.
func newImages(t testing.TB) *images {
	t.Helper()
	handler := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, secret, _ := r.BasicAuth()
		if strings.HasPrefix(r.URL.Path, "/v2/private/") && (name != user || secret != password) {
			w.Header().Set("WWW-Authenticate", `Basic realm="private"`)
			http.Error(w, "who are you", http.StatusUnauthorized)
			return
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return &images{address: strings.TrimPrefix(server.URL, "http://"), layer: probeLayer(t), close: server.Close}
}

// probeLayer is a root filesystem: a static program and a user table.
func probeLayer(t testing.TB) v1.Layer {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "probe")
	build := exec.Command("go", "build", "-ldflags", "-s -w", "-o", binary, "./testdata/probe")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build probe: %v\n%s", err, output)
	}
	program, err := os.ReadFile(binary)
	must(t, err)
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, file := range []struct {
		name string
		mode int64
		body []byte
	}{
		{"probe", 0o755, program},
		{"etc/passwd", 0o644, []byte("root:x:0:0::/:\nweb:x:1234:1234::/:\n")},
		{"etc/group", 0o644, []byte("root:x:0:\nweb:x:1234:\nextra:x:77:web\n")},
	} {
		must(t, w.WriteHeader(&tar.Header{Name: file.name, Mode: file.mode, Size: int64(len(file.body))}))
		_, err := w.Write(file.body)
		must(t, err)
	}
	must(t, w.Close())
	return layerOf(t, archive.Bytes())
}

// linkLayer is a layer with one symbolic link.
func linkLayer(t testing.TB, path, target string) v1.Layer {
	t.Helper()
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	must(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: path, Linkname: target, Mode: 0o777}))
	must(t, w.Close())
	return layerOf(t, archive.Bytes())
}

func layerOf(t testing.TB, archive []byte) v1.Layer {
	t.Helper()
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive)), nil })
	must(t, err)
	return layer
}

// push puts an image into a repository and returns how to pull it. Further layers lie above the program's.
func (i *images) push(t testing.TB, repository string, configure func(*v1.ConfigFile), above ...v1.Layer) runtime.PullRequest {
	t.Helper()
	image, err := mutate.AppendLayers(empty.Image, append([]v1.Layer{i.layer}, above...)...)
	must(t, err)
	config, err := image.ConfigFile()
	must(t, err)
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", "amd64"
	config.Config.Entrypoint = []string{"/probe"}
	configure(config)
	image, err = mutate.ConfigFile(image, config)
	must(t, err)
	ref, err := name.ParseReference(i.address + "/" + repository + ":test")
	must(t, err)
	must(t, remote.Write(ref, image, remote.WithAuth(&authn.Basic{Username: user, Password: password})))
	digest, err := image.Digest()
	must(t, err)
	return runtime.PullRequest{Ref: i.address + "/" + repository + "@" + digest.String()}
}

// program returns the image that the conformance suite asks for.
func (i *images) program(t testing.TB, program runtimetest.Program) runtime.PullRequest {
	t.Helper()
	repository := string(program)
	if program == runtimetest.Private {
		repository = "private/app"
	}
	request := i.push(t, repository, func(config *v1.ConfigFile) {
		config.Config.Cmd = []string{string(program)}
		switch program {
		case runtimetest.Unprivileged:
			config.Config.User = "web"
		case runtimetest.Foreign:
			config.Architecture = "arm64"
		case runtimetest.Private:
			config.Config.Cmd = []string{"serve"}
		default: // the program is the whole difference
		}
	})
	switch program {
	case runtimetest.Private:
		request.Credentials = &runtime.Credentials{Username: user, Password: password}
	case runtimetest.Missing:
		request.Ref = i.address + "/missing@sha256:" + strings.Repeat("12", 32)
	case runtimetest.Unreachable:
		request.Ref = "127.0.0.1:1/app@sha256:" + strings.Repeat("12", 32)
	default: // pulled as it was pushed
	}
	return request
}
