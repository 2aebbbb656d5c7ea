package ingress

import (
	"fmt"
	"slices"
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

// maxProblems bounds the problems, and the routes that would go, in a confirmation.
const maxProblems = 100

// confirmation returns what is in use now.
func confirmation(i *Ingress) *runwayv1.RouteAck {
	missing := i.certs.Missing()
	// The table is read before the counters: Held speaks of it or a later one.
	table := i.live.Table()
	ack := &runwayv1.RouteAck{Incarnation: table.Incarnation(), Generation: table.Generation(), Stopping: i.stopping.Load()}
	ack.Saved = min(i.book.savedIn(table.Incarnation()), table.Generation())
	for _, id := range i.live.Held() {
		ack.Held = append(ack.Held, string(id))
	}
	refused := i.book.refused()
	for _, p := range refused[:min(len(refused), maxProblems)] {
		ack.Problems = append(ack.Problems, fromProblem(p))
	}
	newest := newestFirst(missing)
	for _, m := range newest[:min(len(newest), maxProblems-len(ack.GetProblems()))] {
		ack.Problems = append(ack.Problems, missingProblem(table, m))
	}
	ack.ProblemsOmitted = uint32(len(refused) + len(missing) - len(ack.GetProblems())) //nolint:gosec // bounded by the table
	i.predecessor.joinTo(ack)
	return ack
}

// newestFirst puts the names of the deployments in progress before those that were
// told of long ago.
func newestFirst(missing []certs.Missing) []certs.Missing {
	slices.SortStableFunc(missing, func(a, b certs.Missing) int { return b.Since.Compare(a.Since) })
	return missing
}

// grace returns how long a confirmation still waits for certificates of new names:
// each has its own time, and all of them together no more than one, counted from the
// oldest set that is not confirmed. A stream of new names must not hold it up.
func grace(missing []certs.Missing, unconfirmed, now time.Time) time.Duration {
	var wait time.Duration
	for _, m := range missing {
		wait = max(wait, m.Since.Add(certificateGrace).Sub(now))
	}
	return min(wait, unconfirmed.Add(certificateGrace).Sub(now))
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
