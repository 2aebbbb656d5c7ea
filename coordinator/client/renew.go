package client

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

const (
	// A certificate is renewed at a random point between these parts of its life, so
	// that machines that joined together do not come back together.
	renewFirst, renewLast = 0.50, 0.67
	// renewRetry and renewRetryLast bound the pause after a failure: an expired
	// certificate is cured within minutes of the coordinator's return.
	renewRetry     = 5 * time.Second
	renewRetryLast = 5 * time.Minute
	// renewTimeout bounds one attempt.
	renewTimeout = 15 * time.Second
)

// Renewer keeps an identity fresh. An expired one is renewed as well: a known
// machine that was away may do that and nothing else.
type Renewer struct {
	identity *Identity
	service  runwayv1.IdentityClient
	log      *slog.Logger
}

// NewRenewer makes a renewer that calls over conn, which must use the identity.
func NewRenewer(identity *Identity, conn grpc.ClientConnInterface, log *slog.Logger) *Renewer {
	return &Renewer{
		identity: identity,
		service:  runwayv1.NewIdentityClient(conn),
		log:      log.With("component", "renewer"),
	}
}

// Run renews until ctx ends, and then returns nil.
func (r *Renewer) Run(ctx context.Context) error {
	pause := renewRetry
	for wait(ctx, time.Until(renewAt(r.identity, rand.Float64()))) {
		for {
			err := r.renew(ctx)
			if err == nil {
				r.log.Info("certificate renewed", "expires", r.identity.Expires())
				pause = renewRetry
				break
			}
			r.log.Warn("certificate not renewed", "expires", r.identity.Expires(), "err", err)
			if !wait(ctx, pause/2+rand.N(pause)) {
				return nil
			}
			pause = min(2*pause, renewRetryLast)
		}
	}
	return nil
}

func (r *Renewer) renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, renewTimeout)
	defer cancel()
	key, csr, err := newRequest()
	if err != nil {
		return err
	}
	answer, err := r.service.Renew(ctx, &runwayv1.RenewRequest{Csr: csr})
	if err != nil {
		return fmt.Errorf("renew certificate of %q: %w", r.identity.ID(), err)
	}
	return r.identity.adopt(key, answer.GetChain())
}

// renewAt returns when to renew; at is in [0, 1) and spreads the machines.
func renewAt(identity *Identity, at float64) time.Time {
	leaf := identity.certificate().Leaf
	life := leaf.NotAfter.Sub(leaf.NotBefore)
	return leaf.NotBefore.Add(time.Duration((renewFirst + at*(renewLast-renewFirst)) * float64(life)))
}

// wait returns false when ctx ends first.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
