package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"time"
)

// A slow request takes slowLeast, and the next of its client a step more, up to slowMost.
const (
	slowLeast = 300 * time.Millisecond
	slowMost  = time.Second
	slowSteps = 7
)

// keepSlow is a client that always waits for an answer: whenever a replica is to go,
// something is in flight that neither a proxy nor its transport may repeat. Each
// request has an ID of its own, by which the service tells that it has had it before.
func (g *group) keepSlow(ctx context.Context, number int) {
	c := &client{target: g.target, dialed: g.counts.dialed}
	defer c.close()
	name := rand.Text()
	for n := 0; ctx.Err() == nil; n++ {
		hold := slowLeast + (slowMost-slowLeast)*time.Duration((number+n)%slowSteps)/(slowSteps-1)
		id := fmt.Sprintf("%s-%d", name, n)
		if g.send(c, http.MethodPost, "?hold="+hold.String()+"&once="+id, []byte(id), true) != nil {
			wait(ctx, reopenAfter)
		}
	}
}
