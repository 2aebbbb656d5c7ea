package client

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
)

const (
	// firstPause and lastPause bound the wait between rounds without a leader: an
	// election takes a few hundred milliseconds.
	firstPause = 25 * time.Millisecond
	lastPause  = 500 * time.Millisecond
)

// search performs a call at the leader. A coordinator that does not lead says who
// does; one that cannot be reached is passed over. Rounds without success are
// spaced by a growing, jittered pause.
func (c *Conn) search(ctx context.Context, call func(context.Context, *grpc.ClientConn) error) error {
	s := &search{conn: c, address: c.Leader(), until: time.Now().Add(c.config.Patience), pause: firstPause}
	for {
		to, err := c.to(s.address)
		if err != nil {
			return err
		}
		sent := new(atomic.Bool)
		err = call(context.WithValue(ctx, sentKey{}, sent), to)
		if err == nil {
			c.learn(s.address)
			return nil
		}
		if !s.proceed(ctx, err, sent.Load()) {
			return c.explain(err)
		}
	}
}

// search is the state of one search.
type search struct {
	conn    *Conn
	address string
	until   time.Time
	pause   time.Duration
	tried   int
}

// proceed picks the next address, waiting when a round is over. It returns false
// when the error is the answer.
func (s *search) proceed(ctx context.Context, err error, sent bool) bool {
	leader, notLeader := leaderOf(err)
	unreached := status.Code(err) == codes.Unavailable && !sent
	s.tried++
	distrusted := s.conn.trust.refusal() != nil && s.tried >= s.conn.knownCount()
	if !notLeader && !unreached || distrusted || time.Now().After(s.until) {
		return false
	}
	s.address = s.conn.after(s.address)
	if leader != "" {
		s.conn.learn(leader)
		s.address = leader
	}
	if s.tried%s.conn.knownCount() != 0 {
		return true
	}
	return s.wait(ctx)
}

func (s *search) wait(ctx context.Context) bool {
	timer := time.NewTimer(s.pause/2 + rand.N(s.pause))
	defer timer.Stop()
	s.pause = min(2*s.pause, lastPause)
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// sentKey carries a flag that is set once a call has left for the coordinator. Until
// then it had no effect and may be repeated elsewhere.
type sentKey struct{}

// sentMarker sets the flag, and keeps what an answer says of the caller's token.
type sentMarker struct{ conn *Conn }

// stats.Handler

func (sentMarker) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

func (m sentMarker) HandleRPC(ctx context.Context, event stats.RPCStats) {
	switch e := event.(type) {
	case *stats.OutHeader:
		if sent, ok := ctx.Value(sentKey{}).(*atomic.Bool); ok {
			sent.Store(true)
		}
	case *stats.InHeader:
		m.conn.noteExpiry(e.Header.Get(ExpiryHeader))
	}
}

func (sentMarker) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

func (sentMarker) HandleConn(context.Context, stats.ConnStats) {}
