package dev

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem" // registers the driver that is named below
)

// registry serves images from a directory, over plain HTTP on loopback.
type registry struct {
	listener net.Listener
	handler  http.Handler
}

func newRegistry(ctx context.Context, address, dir string) (*registry, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for the registry: %w", err)
	}
	config := &configuration.Configuration{
		Storage: configuration.Storage{
			"filesystem": configuration.Parameters{"rootdirectory": dir},
			"delete":     configuration.Parameters{"enabled": true},
		},
	}
	config.Log.Level = "error"
	config.Log.AccessLog.Disabled = true
	config.HTTP.Addr = address
	return &registry{listener: listener, handler: handlers.NewApp(ctx, config)}, nil
}

// Run serves until ctx ends.
func (r *registry) Run(ctx context.Context) error {
	server := &http.Server{Handler: r.handler, ReadHeaderTimeout: 10 * time.Second}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		<-ctx.Done()
		deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
		defer cancel()
		if server.Shutdown(deadline) != nil {
			server.Close()
		}
	}()
	err := server.Serve(r.listener)
	<-stopped
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve the registry: %w", err)
}
