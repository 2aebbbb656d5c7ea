package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/runway-platform/runway/coordinator/client"
)

// joinPause is the time between two attempts to reach a coordinator that is not
// there yet; a machine may boot before it.
const joinPause = time.Second

// member is what agents and ingresses need to become part of a cluster.
type member struct {
	dataDir       string
	coordinators  []string
	joinTokenFile string
}

func (m *member) bind(cmd *cobra.Command, dataDir string) {
	flags := cmd.Flags()
	flags.StringVar(&m.dataDir, "data-dir", dataDir, "directory of identity and last known state")
	flags.StringSliceVar(&m.coordinators, "coordinator", nil, "addresses of coordinators, host:port")
	flags.StringVar(&m.joinTokenFile, "join-token-file", "", "file with the join token; needed once")
}

// join returns the machine's identity, exchanging the join token for one at the
// first start, and a connection that uses it. It waits for a coordinator only when
// there is no identity yet.
func (m *member) join(ctx context.Context, log *slog.Logger) (*client.Identity, *client.Conn, error) {
	if len(m.coordinators) == 0 {
		return nil, nil, errors.New("coordinator is empty: name at least one, host:port")
	}
	identity, err := m.enrol(ctx, log)
	if err != nil {
		return nil, nil, err
	}
	conn, err := client.Dial(client.Config{Addresses: m.coordinators, Identity: identity})
	return identity, conn, err
}

func (m *member) enrol(ctx context.Context, log *slog.Logger) (*client.Identity, error) {
	enrolment := client.Enrolment{Addresses: m.coordinators, Directory: filepath.Join(m.dataDir, "identity")}
	enrolment.Name, _ = os.Hostname() // for people only
	if m.joinTokenFile != "" {
		token, err := os.ReadFile(m.joinTokenFile)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("read join token: %w", err)
		}
		enrolment.JoinToken = strings.TrimSpace(string(token))
	}
	for {
		identity, err := client.Enrol(ctx, enrolment)
		if err == nil || !temporary(err) {
			return identity, err
		}
		log.Warn("no coordinator yet, trying again", "err", err)
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(joinPause):
		}
	}
}

// temporary tells whether the coordinator may yet appear: nothing answered, or
// nobody leads.
func temporary(err error) bool {
	var refused net.Error
	return errors.As(err, &refused) || status.Code(err) == codes.Unavailable
}
