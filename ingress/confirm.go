package ingress

import (
	"fmt"
	"time"

	"github.com/runway-platform/runway/ingress/certs"
	"github.com/runway-platform/runway/ingress/route"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// certificateGrace is how long a confirmation waits for the certificate of a new
// name. It is below the 5 s after which a silent ingress is cut off: one name
// that cannot be signed must not hold up the moves of all others. After it the
// generation is confirmed with a problem for the name.
const certificateGrace = 2 * time.Second

// confirmation returns what is in use now. When a new name has no certificate
// yet it returns how long to wait for it instead.
func confirmation(i *Ingress, now time.Time) (*runwayv1.RouteAck, time.Duration) {
	missing := i.certs.Missing()
	if wait := freshest(missing, now); wait > 0 {
		return nil, wait
	}
	// The table is read before the counters: Held speaks of it or a later one.
	table := i.live.Table()
	ack := &runwayv1.RouteAck{Incarnation: table.Incarnation(), Generation: table.Generation(), Stopping: i.stopping.Load()}
	for _, id := range i.live.Held() {
		ack.Held = append(ack.Held, string(id))
	}
	for _, p := range i.book.refused() {
		ack.Problems = append(ack.Problems, fromProblem(p))
	}
	for _, m := range missing {
		ack.Problems = append(ack.Problems, missingProblem(table, m))
	}
	i.predecessor.joinTo(ack)
	return ack, 0
}

// freshest returns how long the youngest name without certificate has left.
func freshest(missing []certs.Missing, now time.Time) time.Duration {
	var wait time.Duration
	for _, m := range missing {
		wait = max(wait, m.Since.Add(certificateGrace).Sub(now))
	}
	return wait
}

func missingProblem(table *route.Table, m certs.Missing) *runwayv1.RouteProblem {
	reason := "no certificate yet"
	if m.Err != nil {
		reason = fmt.Sprintf("no certificate: %v", m.Err)
	}
	var key route.Key
	if r, ok := table.Lookup(route.Public, m.Name); ok {
		key = r.Key
	}
	return newProblem(key, m.Name, code.CertificateFailed, reason)
}
