package image

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve starts a registry on loopback with images for two platforms.
func serve(t *testing.T) (host string, digests map[string]string) {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	host = strings.TrimPrefix(server.URL, "http://")
	amd, arm := platformImage(t, "amd64"), platformImage(t, "arm64")
	index := mutate.AppendManifests(empty.Index,
		mutate.IndexAddendum{Add: amd, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}},
		mutate.IndexAddendum{Add: arm, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "arm64"}}})
	digests = map[string]string{"amd": digestOf(t, amd), "arm": digestOf(t, arm), "index": digestOf(t, index)}
	push(t, host, "amd", func(ref name.Reference) error { return remote.Write(ref, amd) })
	push(t, host, "arm", func(ref name.Reference) error { return remote.Write(ref, arm) })
	push(t, host, "index", func(ref name.Reference) error { return remote.WriteIndex(ref, index) })
	return host, digests
}

func push(t *testing.T, host, tag string, write func(name.Reference) error) {
	t.Helper()
	ref, err := name.ParseReference(host + "/web:" + tag)
	if err != nil {
		t.Fatal(err)
	}
	if err := write(ref); err != nil {
		t.Fatalf("push %s: %v", tag, err)
	}
}

func platformImage(t *testing.T, architecture string) v1.Image {
	t.Helper()
	image, err := random.Image(64, 1)
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", architecture
	image, err = mutate.ConfigFile(image, config)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

func digestOf(t *testing.T, image interface{ Digest() (v1.Hash, error) }) string {
	t.Helper()
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return digest.String()
}

func newResolver(t *testing.T, config Config) *Resolver {
	t.Helper()
	config.Architecture = "amd64"
	r := New(config)
	t.Cleanup(r.transport.(*guard).inner.(*http.Transport).CloseIdleConnections)
	return r
}

func TestResolve(t *testing.T) {
	host, digests := serve(t)
	t.Cleanup(http.DefaultTransport.(*http.Transport).CloseIdleConnections)
	t.Cleanup(remote.DefaultTransport.(*http.Transport).CloseIdleConnections)
	r := newResolver(t, Config{})
	missing := "sha256:" + strings.Repeat("0", 64)
	tests := []struct {
		name, reference, want string
		err                   error
	}{
		{"tag", host + "/web:amd", host + "/web@" + digests["amd"], nil},
		{"digest", host + "/web@" + digests["amd"], host + "/web@" + digests["amd"], nil},
		{"index keeps its own digest", host + "/web:index", host + "/web@" + digests["index"], nil},
		{"other platform", host + "/web:arm", "", ErrPlatform},
		{"unknown tag", host + "/web:nope", "", ErrNotFound},
		{"unknown repository", host + "/nope", "", ErrNotFound},
		{"unknown digest", host + "/web@" + missing, "", ErrNotFound},
		{"malformed", "UPPER/case:tag", "", ErrInvalid},
		{"empty", "", "", ErrInvalid},
		{"path traversal", host + "/../etc:1", "", ErrInvalid},
		{"endless", strings.Repeat("a", 5000), "", ErrInvalid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := r.Resolve(t.Context(), tt.reference)
			if got != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("Resolve(%.80q) = %q, %v; want %q, %v", tt.reference, got, err, tt.want, tt.err)
			}
		})
	}
}

func TestResolve_RegistryThatMisbehaves(t *testing.T) {
	secret := "token-of-the-machine"
	tests := []struct {
		name    string
		handler http.HandlerFunc
		want    error
	}{
		{"denies", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, secret, http.StatusForbidden) }, ErrDenied},
		{"asks who we are", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, secret, http.StatusUnauthorized) }, ErrDenied},
		{"has enough of us", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, secret, http.StatusTooManyRequests) }, ErrUnreachable},
		{"answers in schema 1", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/vnd.docker.distribution.manifest.v1+prettyjws")
			if _, err := io.WriteString(w, `{"schemaVersion": 1, "name": "web", "tag": "1", "architecture": "amd64"}`); err != nil {
				t.Error(err)
			}
		}, ErrInvalid},
		{"fails", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, secret, http.StatusTeapot) }, ErrUnreachable},
		{"answers nonsense", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
			if _, err := io.WriteString(w, secret); err != nil {
				t.Error(err)
			}
		}, ErrInvalid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(tt.handler)
			defer server.Close()
			r := newResolver(t, Config{})
			_, err := r.Resolve(t.Context(), strings.TrimPrefix(server.URL, "http://")+"/web:1")
			if !errors.Is(err, tt.want) && !(errors.Is(tt.want, ErrInvalid) && errors.Is(err, ErrUnreachable)) {
				t.Errorf("Resolve = %v, want %v", err, tt.want)
			}
			if err == nil || strings.Contains(err.Error(), secret) {
				t.Errorf("the error repeats the answer: %v", err)
			}
		})
	}
}

func TestResolve_NobodyListens(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := newResolver(t, Config{}).Resolve(t.Context(), address+"/web:1"); !errors.Is(err, ErrUnreachable) {
		t.Errorf("Resolve = %v, want ErrUnreachable", err)
	}
}

func TestResolve_EndsWithItsContext(t *testing.T) {
	hang := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	}))
	defer server.Close()
	defer close(hang)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := newResolver(t, Config{}).Resolve(ctx, strings.TrimPrefix(server.URL, "http://")+"/web:1")
	if !errors.Is(err, ErrUnreachable) {
		t.Errorf("Resolve = %v, want ErrUnreachable", err)
	}
}

func TestGuard_PlainHTTPOnlyWhereAllowed(t *testing.T) {
	t.Parallel()
	r := New(Config{PlainHTTP: []string{"registry.lan:5000"}})
	for host, want := range map[string]bool{
		"127.0.0.1:5000": true, "localhost:5000": true, "localhost": true, "[::1]:5000": true, "127.8.8.8": true,
		"registry.lan:5000": true, "registry.lan": false, "registry.lan:5001": false,
		"10.0.0.1:5000": false, "192.168.1.1": false, "example.org": false, "localhost.example.org": false, "xlocalhost": false,
	} {
		if got := r.allowsPlain(host); got != want {
			t.Errorf("allowsPlain(%q) = %v, want %v", host, got, want)
		}
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://10.0.0.1/v2/", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := r.transport.RoundTrip(request)
	if !errors.Is(err, errPlain) {
		t.Errorf("plain request to a private address: %v, %v", response, err)
	}
}

func TestTransport_NeverConnectsToLinkLocal(t *testing.T) {
	t.Parallel()
	r := newResolver(t, Config{PlainHTTP: []string{"169.254.169.254"}})
	_, err := r.Resolve(t.Context(), "169.254.169.254/latest/meta-data:1")
	if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "not a registry's address") {
		t.Errorf("Resolve = %v", err)
	}
}

func TestCanonical_DockerHubHasOneName(t *testing.T) {
	t.Parallel()
	for reference, want := range map[string]string{
		"nginx:1":                   "docker.io/library/nginx",
		"docker.io/team/web":        "docker.io/team/web",
		"registry.example/team/web": "registry.example/team/web",
	} {
		ref, err := New(Config{}).parse(reference)
		if err != nil {
			t.Fatal(err)
		}
		if got := canonical(ref); got != want {
			t.Errorf("canonical(%q) = %q, want %q", reference, got, want)
		}
	}
}
