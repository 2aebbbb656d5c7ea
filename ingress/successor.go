package ingress

import (
	"context"
	"errors"
	"net"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/runway-platform/runway/ingress/handover"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// converse follows the coordinator until a successor is ready, and then the successor:
// both have one identity, so only one of them has a session. While this process
// drains, it routes by the sets that the successor passes on, and the successor
// confirms nothing before this process has it in use.
func (i *Ingress) converse(ctx context.Context) error {
	for ctx.Err() == nil {
		claim, err := i.followUntilClaimed(ctx)
		if err != nil {
			return err
		}
		if claim == nil {
			return nil
		}
		if !i.yield(ctx, claim) {
			<-ctx.Done() // another process has the session, it would end this one's
		}
	}
	return nil
}

// followUntilClaimed has a session with the coordinator until a successor is ready; it
// returns nil when ctx ended before.
func (i *Ingress) followUntilClaimed(ctx context.Context) (claim *handover.Claim, err error) {
	session, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- i.session.run(session) }()
	select {
	case claim = <-i.claims:
	case <-ctx.Done():
	}
	stop()
	return claim, <-ended
}

// yield leaves everything to a successor, and returns whether this process is to go on
// by itself because that one has ended: before it served as if nothing had been, and
// after that to tell what is still in flight here.
func (i *Ingress) yield(ctx context.Context, claim *handover.Claim) bool {
	i.log.Info("a successor is ready")
	i.book.save(false)
	conn, err := claim.Release()
	if err == nil {
		err = i.followSuccessor(ctx, conn)
	}
	switch {
	case ctx.Err() != nil:
		return true
	case !i.succeeded():
		i.log.Warn("the successor is gone, serving on", "err", err)
		return true
	case i.cfg.Sockets != nil && !i.cfg.Sockets.Alone():
		i.log.Warn("the successor is gone and another process serves, draining untold", "err", err)
		return false
	}
	i.log.Warn("the successor is gone, draining with a session", "err", err)
	i.leave()
	select {
	case i.orphaned <- struct{}{}:
	default:
	}
	return true
}

// followSuccessor is a session with the successor over the connection, again after
// each end as long as the connection lasts.
func (i *Ingress) followSuccessor(ctx context.Context, conn net.Conn) error {
	var dialed atomic.Bool
	client, err := grpc.NewClient("passthrough:///successor", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) {
			if dialed.Swap(true) {
				return nil, errSuccessorGone
			}
			return conn, nil
		}))
	if err != nil {
		return errors.Join(err, conn.Close())
	}
	defer client.Close()
	for {
		_, err := i.session.follow(ctx, runwayv1.NewIngressSessionClient(client), i.succeed)
		if ctx.Err() != nil || err == nil || errors.Is(err, errSuccessorGone) || client.GetState() != connectivity.Ready {
			return err
		}
		i.log.Warn("session with the successor ended, trying again", "err", err)
		sleep(ctx, firstRetry)
	}
}

// errSuccessorGone means that the connection to the successor has ended.
var errSuccessorGone = errors.New("the successor has ended")

// succeed says that the successor serves: this process takes nothing new.
func (i *Ingress) succeed() {
	i.yielded.Do(func() {
		i.log.Info("the successor serves, draining")
		i.book.save(true)
		close(i.successor)
	})
}

// awaitSuccessor returns when a successor serves or ctx ends.
func (i *Ingress) awaitSuccessor(ctx context.Context) error {
	select {
	case <-i.successor:
	case <-ctx.Done():
	}
	return nil
}

// succeeded tells whether another process serves in the place of this one.
func (i *Ingress) succeeded() bool {
	select {
	case <-i.successor:
		return true
	default:
		return false
	}
}
