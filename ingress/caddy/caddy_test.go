package caddy

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/runway-platform/runway/ingress/route"
	"github.com/runway-platform/runway/ingress/stats"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// proxy is the one Caddy of this test process with everything behind it. Tests
// share it and each has its own names.
var proxy *fixture

func TestMain(m *testing.M) {
	if role := os.Getenv(roleEnv); role != "" {
		if err := playRole(role); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(func() int {
		var stop func() error
		var err error
		if proxy, stop, err = startProxy(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		result := m.Run()
		if err := stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return result
	}())
}

type fixture struct {
	https, http, internal string
	home                  string
	routes                *route.Live
	stats                 *stats.Recorder
	ca                    *testCA
	client                *http.Client

	names atomic.Uint64

	mu         sync.Mutex
	generation uint64
}

// testDrain is the drain timeout of the proxy under test.
const testDrain = 5 * time.Second

// trustedClient is the loopback address that X-Forwarded-* is taken from.
const trustedClient = "127.0.0.7"

func startProxy() (*fixture, func() error, error) {
	dir, err := os.MkdirTemp("", "runway-caddy-test-")
	if err != nil {
		return nil, nil, err
	}
	f := &fixture{routes: route.NewLive(), stats: stats.New(runwayv1.LatencyBounds()), home: dir + "/home"}
	if f.ca, err = newTestCA(); err != nil {
		return nil, nil, err
	}
	for _, name := range []string{"HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"} {
		if err := os.Setenv(name, f.home); err != nil {
			return nil, nil, err
		}
	}
	cfg := Config{
		Routes: f.routes, Stats: f.stats, Certificates: f.ca, DataDir: dir + "/data", HTTPSPort: 8443,
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix(trustedClient + "/32")},
		DrainTimeout:   testDrain,
		Admit:          admitted,
		Log:            slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	if err := f.listen(&cfg.Listeners); err != nil {
		return nil, nil, err
	}
	f.client = f.newClient()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, cfg) }()
	stop := func() error {
		cancel()
		f.client.CloseIdleConnections()
		return errors.Join(<-done, os.RemoveAll(dir))
	}
	return f, stop, f.awaitServing()
}

func (f *fixture) listen(l *Listeners) error {
	for _, one := range []struct {
		listeners *[]net.Listener
		address   *string
	}{{&l.HTTPS, &f.https}, {&l.HTTP, &f.http}, {&l.InternalHTTP, &f.internal}} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		*one.listeners, *one.address = []net.Listener{listener}, listener.Addr().String()
	}
	return nil
}

// awaitServing returns once Caddy answers: the sockets were open before it.
func (f *fixture) awaitServing() error {
	client := &http.Client{Timeout: 10 * time.Second}
	res, err := client.Get("http://" + f.http + "/")
	if err != nil {
		return err
	}
	return res.Body.Close()
}

// newClient returns a client that reaches every name at the proxy.
func (f *fixture) newClient() *http.Client {
	return &http.Client{
		Timeout:       20 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, f.https)
			},
			TLSClientConfig:     &tls.Config{RootCAs: f.ca.pool},
			ForceAttemptHTTP2:   true,
			MaxIdleConnsPerHost: 64,
		},
	}
}

// route puts a workload with a public and an internal name into the table and
// removes it when the test ends. It returns its public name.
func (f *fixture) route(t testing.TB, change func(*route.Workload), upstreams ...string) string {
	t.Helper()
	service := strings.ToLower(strings.NewReplacer("/", "-", "_", "-", "=", "-", ",", "-", "#", "-", " ", "-").Replace(t.Name()))
	if len(service) > 40 {
		service = service[:20] + service[len(service)-20:]
	}
	service += "-" + strconv.FormatUint(f.names.Add(1), 10) // also when a test is repeated
	w := route.Workload{
		Key:            route.Key{Space: "default", Service: service, Environment: "production"},
		Hosts:          []string{service + ".example.com"},
		InternalHosts:  []string{service + ".default.internal"},
		RequestTimeout: 10 * time.Second,
		BodyLimit:      10 << 20,
	}
	for i, upstream := range upstreams {
		w.Endpoints = append(w.Endpoints, route.Endpoint{
			Replica: route.ReplicaID(fmt.Sprintf("%s-%d", service, i)), Address: netip.MustParseAddrPort(upstream), Revision: 7,
		})
	}
	if change != nil {
		change(&w)
	}
	f.apply(t, route.Set{Workloads: []route.Workload{w}})
	t.Cleanup(func() { f.apply(t, route.Set{Removed: []route.Key{w.Key}, Withdrawn: []route.Key{w.Key}}) })
	return w.Hosts[0]
}

func (f *fixture) apply(t testing.TB, set route.Set) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.generation++
	set.Incarnation, set.Generation, set.Full = "test", f.generation, f.generation == 1
	if problems, err := f.routes.Apply(set); err != nil || len(problems) > 0 {
		t.Fatalf("Apply: %v, %+v", err, problems)
	}
}

func (f *fixture) get(t *testing.T, host, path string, header ...string) (*http.Response, string) {
	t.Helper()
	req := newRequest(t, http.MethodGet, "https://"+host+path, nil)
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	return f.do(t, req)
}

func newRequest(t *testing.T, method, address string, body io.Reader) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, body)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func (f *fixture) do(t *testing.T, req *http.Request) (*http.Response, string) {
	t.Helper()
	res, err := f.client.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", req.Method, req.URL, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("read answer of %s: %v", req.URL, err)
	}
	return res, string(body)
}

// upstream starts a replica and returns its address.
func upstream(t testing.TB, handle http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(handle)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// closedPort returns an address that refuses connections.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return l.Addr().String()
}

func say(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
}

// testCA makes a certificate for whatever it is asked for.
type testCA struct {
	asked atomic.Int64
	key   *ecdsa.PrivateKey
	root  *x509.Certificate
	pool  *x509.CertPool
	certs sync.Map
}

func newTestCA() (*testCA, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, root, root, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	ca := &testCA{key: key, pool: x509.NewCertPool()}
	if ca.root, err = x509.ParseCertificate(der); err != nil {
		return nil, err
	}
	ca.pool.AddCert(ca.root)
	return ca, nil
}

// Certificate implements Certificates.
func (ca *testCA) Certificate(name string) (*tls.Certificate, error) {
	ca.asked.Add(1)
	if strings.HasPrefix(name, "nocert") {
		return nil, errors.New("no certificate yet")
	}
	if c, ok := ca.certs.Load(name); ok {
		return c.(*tls.Certificate), nil
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca.root, &ca.key.PublicKey, ca.key)
	if err != nil {
		return nil, err
	}
	if leaf, err = x509.ParseCertificate(der); err != nil {
		return nil, err
	}
	c, _ := ca.certs.LoadOrStore(name, &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: ca.key, Leaf: leaf})
	return c.(*tls.Certificate), nil
}

func mustAddr(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }
