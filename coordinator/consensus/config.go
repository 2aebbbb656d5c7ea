package consensus

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"time"

	"github.com/hashicorp/raft"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/runway-platform/runway/coordinator/state"
)

const (
	// heartbeatTimeout is how long a follower goes without a leader. With up to
	// twice that until it asks for votes, a new leader stands within a second. It
	// is far above the round trip and the fsync of machines in one region.
	heartbeatTimeout = 350 * time.Millisecond
	// leaderLease is how long a leader without a majority goes on. Below the
	// heartbeat timeout, so that the old leader is gone before the new one comes.
	leaderLease = 250 * time.Millisecond
	// commitTimeout is how soon an idle follower learns of the last commit.
	commitTimeout = 50 * time.Millisecond
	// maxAppendEntries bounds how many commands share one fsync and one message.
	maxAppendEntries = 256
	// snapshotThreshold is the number of commands after which a snapshot is worth
	// its write; snapshotInterval how often that is looked at.
	snapshotThreshold = 8192
	snapshotInterval  = 2 * time.Minute
	// trailingLogs are kept behind a snapshot, so that a member that was away for
	// a restart needs no snapshot.
	trailingLogs = 10_240
	// snapshotsKept is one to use and one in case that is damaged.
	snapshotsKept = 2
	// logCacheSize is how many entries replication finds without reading the disk.
	logCacheSize = 512
)

// Config says who this member is and what it stands on.
type Config struct {
	// ID of this coordinator; never changes and is never reused.
	ID string
	// Address at which the other coordinators reach this one, host:port.
	Address string
	// Store receives the replicated state. It must be empty.
	Store *state.Store
	// DataDir holds the log and the snapshots. Unused when Storage is given.
	DataDir string
	// Storage replaces DataDir in tests.
	Storage *Storage
	// Bootstrap makes the one voter of a new cluster when DataDir is empty.
	Bootstrap bool
	// Join allows DataDir to be empty: the leader adds this member.
	Join bool
	// Streams carries Raft between members. Unused when Transport is given.
	Streams Streams
	// Transport replaces Streams in tests.
	Transport *raft.InmemTransport

	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// Streams is how members reach each other: connections that somebody else accepts
// and multiplexes by ALPN, and a way to dial.
type Streams struct {
	// Listener delivers accepted connections, each a *tls.Conn for Protocol.
	Listener net.Listener
	// Dial opens a plain connection to a member's address; nil dials TCP.
	Dial func(ctx context.Context, address string) (net.Conn, error)
	// ClientTLS authenticates this member when it dials.
	ClientTLS *tls.Config
	// VerifyPeer refuses certificates that are not a coordinator's. It is asked in
	// both directions, before a byte of Raft is read or written.
	VerifyPeer func(tls.ConnectionState) error
}

func (c Config) validate() error {
	switch {
	case c.ID == "":
		return errors.New("no ID")
	case c.Address == "":
		return errors.New("no address")
	case c.Store == nil:
		return errors.New("no store")
	case c.Logger == nil:
		return errors.New("no logger")
	case c.Registerer == nil:
		return errors.New("no metrics registerer")
	case c.DataDir == "" && c.Storage == nil:
		return errors.New("no data directory")
	case c.Bootstrap && c.Join:
		return errors.New("a member cannot both begin a cluster and join one")
	case c.Transport != nil:
		return nil
	}
	return c.Streams.validate()
}

func (s Streams) validate() error {
	if s.Listener == nil || s.ClientTLS == nil || s.VerifyPeer == nil {
		return errors.New("streams need a listener, a TLS configuration and a check of peers")
	}
	return nil
}

func (c Config) raft(log *slog.Logger) *raft.Config {
	settings := raft.DefaultConfig()
	settings.LocalID = raft.ServerID(c.ID)
	settings.HeartbeatTimeout = heartbeatTimeout
	settings.ElectionTimeout = heartbeatTimeout
	settings.LeaderLeaseTimeout = leaderLease
	settings.CommitTimeout = commitTimeout
	settings.MaxAppendEntries = maxAppendEntries
	// Buffered, commands could be left in the queue of a stopped member for ever.
	// Unbuffered ones share an fsync all the same: raft takes all that wait.
	settings.BatchApplyCh = false
	settings.TrailingLogs = trailingLogs
	settings.SnapshotInterval = snapshotInterval
	settings.SnapshotThreshold = snapshotThreshold
	settings.NoLegacyTelemetry = true
	settings.Logger = raftLogger(log)
	return settings
}

// storage opens what the member stands on.
func (c Config) storage(n *Node) (Storage, error) {
	if c.Storage == nil {
		return openDisk(c.DataDir, n)
	}
	return guard(*c.Storage, n), nil
}

func (c Config) transport(log *slog.Logger) closingTransport {
	if c.Transport != nil {
		return c.Transport
	}
	return newTransport(c.Address, c.Streams, log)
}
