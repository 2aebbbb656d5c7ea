package identity

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/protobuf/proto"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// kernel is a stub of Ports.
type kernel func() (map[uint16]string, error)

func (k kernel) Holders(context.Context) (map[uint16]string, error) { return k() }

func newServer(t *testing.T, ports kernel) *Server {
	t.Helper()
	noCertificate := &tls.Config{MinVersion: tls.VersionTLS13, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		return nil, errors.New("no certificate in this test")
	}}
	s, err := New(Config{Address: "127.0.0.1:0", TLS: noCertificate, Ports: ports, Registerer: prometheus.NewRegistry(), Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func ask(t *testing.T, s *Server) (int, map[uint32]string) {
	t.Helper()
	w := httptest.NewRecorder()
	s.handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/holders", http.NoBody))
	body, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	holders := new(runwayv1.PortHolders)
	if w.Code == http.StatusOK {
		if err := proto.Unmarshal(body, holders); err != nil {
			t.Fatal(err)
		}
	}
	return w.Code, holders.GetReplicas()
}

func TestServer_TellsWhatTheKernelSaysNow(t *testing.T) {
	t.Parallel()
	says := map[uint16]string{20000: "r1", 20001: ""}
	s := newServer(t, func() (map[uint16]string, error) { return says, nil })
	if status, got := ask(t, s); status != http.StatusOK || !maps.Equal(got, map[uint32]string{20000: "r1", 20001: ""}) {
		t.Errorf("got %d, %v; want both ports", status, got)
	}
	says = map[uint16]string{}
	if status, got := ask(t, s); status != http.StatusOK || len(got) != 0 {
		t.Errorf("got %d, %v; want no port: the answer from before must not be kept", status, got)
	}
}

// An ingress must be able to tell "no replica" from "not known".
func TestServer_AFailureIsNoAnswer(t *testing.T) {
	t.Parallel()
	s := newServer(t, func() (map[uint16]string, error) { return nil, errors.New("no table") })
	if status, _ := ask(t, s); status != http.StatusServiceUnavailable {
		t.Errorf("got %d, want 503", status)
	}
	if got := testutil.ToFloat64(s.answers.WithLabelValues("failed")); got != 1 {
		t.Errorf("%v failures counted, want 1", got)
	}
	if problems, err := testutil.CollectAndLint(s.answers); err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
}

func TestServer_ReadsTheKernelOnceAtATimeAndNotForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var reading, most atomic.Int32
		s := newServer(t, func() (map[uint16]string, error) {
			most.Store(max(most.Load(), reading.Add(1)))
			defer reading.Add(-1)
			time.Sleep(time.Second)
			return nil, nil
		})
		var answered atomic.Int32
		done := make(chan struct{}, 5)
		for range 5 {
			go func() {
				defer func() { done <- struct{}{} }()
				if _, err := s.answer(t.Context()); err == nil {
					answered.Add(1)
				}
			}()
		}
		for range 5 {
			<-done
		}
		if most.Load() != 1 || answered.Load() < 1 || answered.Load() > 3 {
			t.Errorf("%d at a time, %d of 5 answered with 2 s for each; want 1, and about 2", most.Load(), answered.Load())
		}
	})
}

func TestServer_StopsAndSaysThatItsAddressIsTaken(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	s.cfg.Address = listener.Addr().String()
	if err := s.Run(t.Context()); err == nil {
		t.Error("serves on an address that is taken")
	}
	s.cfg.Address = "127.0.0.1:0"
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("run: %v", err)
	}
}
