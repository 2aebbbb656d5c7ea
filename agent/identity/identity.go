// Package identity tells ingresses of the cluster which replica each node port leads
// to. An ingress that has not heard of the coordinator for a while asks before it uses
// a new connection. It answers from the kernel, needs no coordinator, and tells nobody
// but an ingress.
package identity

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/net/netutil"
	"google.golang.org/protobuf/proto"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

const (
	// timeout bounds each step of a connection; an ingress waits half a second.
	timeout = 2 * time.Second
	// idle is longer than an ingress keeps a connection.
	idle = 15 * time.Second
	// maxConnections is one of each of as many ingresses as a cluster has at most.
	maxConnections = 1000
)

// Ports knows what the node's ports lead to now.
type Ports interface {
	Holders(ctx context.Context) (map[uint16]string, error)
}

// Config is what a Server needs.
type Config struct {
	// Address to listen on, ip:port.
	Address string
	// TLS admits ingresses of the cluster and nobody else.
	TLS        *tls.Config
	Ports      Ports
	Registerer prometheus.Registerer
	Log        *slog.Logger
}

// Server answers ingresses.
type Server struct {
	cfg     Config
	log     *slog.Logger
	answers *prometheus.CounterVec
	// turn lets one question read the kernel at a time: they are cheap, but come
	// from every ingress at once when the coordinators are away.
	turn chan struct{}
}

// New returns a server that does not listen yet.
func New(cfg Config) (*Server, error) {
	s := &Server{cfg: cfg, log: cfg.Log.With("component", "identity"), answers: newAnswers(), turn: make(chan struct{}, 1)}
	if err := cfg.Registerer.Register(s.answers); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return s, nil
}

// Run answers until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	listener, err := net.Listen("tcp", s.cfg.Address)
	if err != nil {
		return fmt.Errorf("listen for questions about node ports: %w", err)
	}
	return s.serve(ctx, listener)
}

func (s *Server) serve(ctx context.Context, listener net.Listener) error {
	server := &http.Server{
		Handler:           s.handler(),
		TLSConfig:         s.cfg.TLS,
		ReadTimeout:       timeout,
		WriteTimeout:      2 * timeout,
		IdleTimeout:       idle,
		MaxHeaderBytes:    4 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: timeout,
	}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() }) // nothing worth waiting for
	defer stop()
	if err := server.ServeTLS(netutil.LimitListener(listener, maxConnections), "", ""); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve questions about node ports: %w", err)
	}
	return nil
}

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /holders", func(w http.ResponseWriter, r *http.Request) {
		answer, err := s.answer(r.Context())
		if err != nil {
			s.answers.WithLabelValues("failed").Inc()
			s.log.Warn("question about node ports not answered", "from", r.RemoteAddr, "err", err)
			http.Error(w, "the node cannot tell", http.StatusServiceUnavailable)
			return
		}
		s.answers.WithLabelValues("answered").Inc()
		w.Header().Set("Content-Type", "application/x-protobuf")
		w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
		_, _ = w.Write(answer) // an ingress that is gone needs no answer
	})
	return mux
}

// answer is what the kernel says at some time after it was asked for.
func (s *Server) answer(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for other questions: %w", ctx.Err())
	}
	holders, err := s.cfg.Ports.Holders(ctx)
	if err != nil {
		return nil, err
	}
	message := &runwayv1.PortHolders{Replicas: make(map[uint32]string, len(holders))}
	for port, replica := range holders {
		message.Replicas[uint32(port)] = replica
	}
	answer, err := proto.Marshal(message)
	if err != nil {
		return nil, fmt.Errorf("encode holders of node ports: %w", err)
	}
	return answer, nil
}
