package cli

import (
	"archive/tar"
	"bytes"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// newRegistry serves an empty registry on loopback and returns its address.
func newRegistry(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(t.Output(), "", 0))))
	t.Cleanup(func() {
		remote.DefaultTransport.(*http.Transport).CloseIdleConnections()
		server.Close()
	})
	return strings.TrimPrefix(server.URL, "http://")
}

func randomImage(t *testing.T) v1.Image {
	t.Helper()
	const layerBytes, layers = 4 << 10, 3
	image, err := random.Image(layerBytes, layers)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

func writeDocker(t *testing.T, path string, image v1.Image) {
	t.Helper()
	tag, err := name.NewTag("web:latest")
	if err != nil {
		t.Fatal(err)
	}
	if err := tarball.WriteToFile(path, tag, image); err != nil {
		t.Fatal(err)
	}
}

// writeOCI packs the layout of an index as tools do.
func writeOCI(t *testing.T, path string, index v1.ImageIndex) {
	t.Helper()
	dir := t.TempDir()
	if _, err := layout.Write(dir, index); err != nil {
		t.Fatal(err)
	}
	var buffer bytes.Buffer
	w := tar.NewWriter(&buffer)
	if err := w.AddFS(os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, buffer.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

func indexOf(images ...v1.Image) v1.ImageIndex {
	index := v1.ImageIndex(empty.Index)
	for _, image := range images {
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image})
	}
	return index
}

// pushRun is a deploy of an archive in DIR to a registry.
func pushRun(t *testing.T, registryAddress, archive string) *run {
	t.Helper()
	r := deployRun(t)
	r.fake.Cluster.Registry = registryAddress
	r.args += " -q --image " + archive
	return r
}

// The archive arrives in the registry whole, and is deployed by its digest.
func TestDeploy_PushesArchives(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	image := randomImage(t)
	multi := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: indexOf(image, randomImage(t))})
	for _, test := range []struct {
		name, archive string
		write         func(path string)
	}{
		{"docker", "docker-archive:DIR/image.tar", func(path string) { writeDocker(t, path, image) }},
		{"oci", "oci-archive:DIR/image.tar", func(path string) { writeOCI(t, path, indexOf(image)) }},
		{"oci of several platforms", "oci-archive:DIR/image.tar", func(path string) { writeOCI(t, path, multi) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			address := newRegistry(t)
			r := pushRun(t, address, test.archive)
			test.write(filepath.Join(r.dir, "image.tar"))
			if o := r.do(t); o.exit != 0 {
				t.Fatalf("exit %d: %s", o.exit, o.stderr)
			}
			reference := r.fake.Requests("Deploy")[0].(*runwayv1.DeployRequest).GetSpec().GetImage().GetReference()
			if !strings.HasPrefix(reference, address+"/default/web@sha256:") {
				t.Errorf("deployed %q", reference)
			}
			pushed, err := name.ParseReference(reference, name.Insecure)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := remote.Get(pushed); err != nil {
				t.Errorf("get %s: %v", reference, err)
			}
		})
	}
	left, err := filepath.Glob(filepath.Join(os.TempDir(), "runway-image-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestDeploy_ShowsThePush(t *testing.T) {
	address := newRegistry(t)
	r := pushRun(t, address, "docker-archive:DIR/image.tar")
	r.args = strings.Replace(r.args, " -q", "", 1)
	writeDocker(t, filepath.Join(r.dir, "image.tar"), randomImage(t))
	o := r.do(t)
	if o.exit != 0 || !strings.Contains(o.stderr, "image pushed as "+address+"/default/web@sha256:") || !strings.Contains(o.stderr, "image is being pushed: ") {
		t.Errorf("exit %d: %s", o.exit, o.stderr)
	}
}

// tarOf makes an archive of the given entries.
func tarOf(t *testing.T, headers ...tar.Header) []byte {
	t.Helper()
	var buffer bytes.Buffer
	w := tar.NewWriter(&buffer)
	for _, h := range headers {
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(bytes.Repeat([]byte("x"), int(h.Size))); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buffer.Bytes()
}

// Archives that are not images, or are more than that, are refused with RW-3006
// before anything is pushed or written elsewhere.
func TestDeploy_RefusesBadArchives(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", t.TempDir())
	docker, oci, two := filepath.Join(dir, "docker.tar"), filepath.Join(dir, "oci.tar"), filepath.Join(dir, "two.tar")
	writeDocker(t, docker, randomImage(t))
	writeOCI(t, oci, indexOf(randomImage(t)))
	writeOCI(t, two, indexOf(randomImage(t), randomImage(t)))
	half := func(path string) []byte {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return data[:len(data)/2]
	}
	whole := func(path string) []byte {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	blob := "blobs/sha256/" + strings.Repeat("a", 64)
	many := make([]tar.Header, maxArchiveEntries+1)
	for i := range many {
		many[i] = tar.Header{Name: fmt.Sprintf("f%d", i), Typeflag: tar.TypeReg, Mode: 0o600}
	}
	for _, test := range []struct {
		id, kind string
		data     []byte
	}{
		{"docker-empty", dockerArchive, nil},
		{"docker-text", dockerArchive, []byte("hello")},
		{"docker-truncated", dockerArchive, half(docker)},
		{"docker-is-oci", dockerArchive, whole(oci)},
		{"oci-empty", ociArchive, nil},
		{"oci-text", ociArchive, []byte("hello")},
		{"oci-truncated", ociArchive, half(oci)},
		{"oci-is-docker", ociArchive, whole(docker)},
		{"oci-two-images", ociArchive, whole(two)},
		{"oci-parent", ociArchive, tarOf(t, tar.Header{Name: "../evil", Typeflag: tar.TypeReg, Mode: 0o600, Size: 3})},
		{"oci-parent-inside", ociArchive, tarOf(t, tar.Header{Name: "blobs/../../evil", Typeflag: tar.TypeReg, Mode: 0o600, Size: 3})},
		{"oci-absolute", ociArchive, tarOf(t, tar.Header{Name: "/tmp/evil", Typeflag: tar.TypeReg, Mode: 0o600, Size: 3})},
		{"oci-symlink", ociArchive, tarOf(t, tar.Header{Name: "blobs", Typeflag: tar.TypeSymlink, Linkname: "/etc"})},
		{"oci-hardlink", ociArchive, tarOf(t, tar.Header{Name: blob, Typeflag: tar.TypeLink, Linkname: "/etc/passwd"})},
		{"oci-device", ociArchive, tarOf(t, tar.Header{Name: "index.json", Typeflag: tar.TypeBlock, Devmajor: 8})},
		{"oci-fifo", ociArchive, tarOf(t, tar.Header{Name: "index.json", Typeflag: tar.TypeFifo})},
		{"oci-twice", ociArchive, tarOf(t, tar.Header{Name: blob, Typeflag: tar.TypeReg, Mode: 0o600, Size: 1}, tar.Header{Name: "./" + blob, Typeflag: tar.TypeReg, Mode: 0o600, Size: 1})},
		{"oci-many-files", ociArchive, tarOf(t, many...)},
		{"oci-huge", ociArchive, hugeTar(t, blob)},
	} {
		t.Run(test.id, func(t *testing.T) {
			r := pushRun(t, "127.0.0.1:1", test.kind+"DIR/image.tar")
			if err := os.WriteFile(filepath.Join(r.dir, "image.tar"), test.data, 0o600); err != nil {
				t.Fatal(err)
			}
			o := r.do(t)
			if o.exit != exitRejected || !strings.Contains(o.stderr, "\nRW-3006 ") {
				t.Errorf("exit %d, stderr %q, want 2 and RW-3006", o.exit, o.stderr)
			}
			o.checkLastLine(t)
			if n := len(r.fake.Requests("Deploy")); n != 0 {
				t.Errorf("%d deploy requests", n)
			}
		})
	}
	left, err := filepath.Glob(filepath.Join(os.TempDir(), "runway-image-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// hugeTar says that it holds more than is allowed, and holds nothing.
func hugeTar(t *testing.T, entry string) []byte {
	t.Helper()
	var buffer bytes.Buffer
	w := tar.NewWriter(&buffer)
	if err := w.WriteHeader(&tar.Header{Name: entry, Typeflag: tar.TypeReg, Mode: 0o600, Size: maxArchiveBytes + 1}); err != nil {
		t.Fatal(err)
	}
	return buffer.Bytes()
}

// What is wrong with the registry is told apart.
func TestDeploy_PushFailures(t *testing.T) {
	denied := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, `{"errors":[{"code":"DENIED","message":"no"}]}`, http.StatusForbidden)
	}))
	t.Cleanup(func() {
		remote.DefaultTransport.(*http.Transport).CloseIdleConnections()
		denied.Close()
	})
	for _, test := range []struct{ name, registry, want string }{
		{"none", "", "RW-3007 push DIR/image.tar: the cluster has no registry"},
		{"denied", strings.TrimPrefix(denied.URL, "http://"), "RW-3002 push DIR/image.tar to "},
		{"unreachable", "127.0.0.1:1", "RW-3004 push DIR/image.tar to 127.0.0.1:1: "},
		{"invalid", "http://x", "RW-3007 the cluster's registry"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := pushRun(t, test.registry, "docker-archive:DIR/image.tar")
			writeDocker(t, filepath.Join(r.dir, "image.tar"), randomImage(t))
			o := r.do(t)
			if o.exit != exitRejected || !strings.Contains(o.stderr, "\n"+test.want) {
				t.Errorf("exit %d, stderr %q, want %q", o.exit, o.stderr, test.want)
			}
			o.checkLastLine(t)
		})
	}
}

func TestLoopback(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"127.0.0.1:5000": true, "localhost:5000": true, "[::1]:5000": true, "127.0.0.1": true, "registry.example.com:5000": false, "10.0.0.1:5000": false, "localhost.example.com:1": false,
	} {
		if got := loopback(address); got != want {
			t.Errorf("loopback(%q) = %t, want %t", address, got, want)
		}
	}
}
