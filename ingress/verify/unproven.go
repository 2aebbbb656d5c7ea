package verify

import (
	"net"
	"sync/atomic"
	"time"

	"github.com/runway-platform/runway/ingress/route"
)

// unproven is a connection to a node that did not say where its port leads. It is
// asked again while the connection is in use; once it says something else, nothing
// more is sent.
type unproven struct {
	net.Conn
	verifier *Verifier
	target   *route.Target
	made     time.Time
	// settled: it is proven, or closed.
	settled atomic.Bool
	// again is when the node is asked again, nanoseconds after the connection was made.
	again atomic.Int64
}

func newUnproven(conn net.Conn, v *Verifier, target *route.Target) *unproven {
	c := &unproven{Conn: conn, verifier: v, target: target, made: time.Now()}
	c.again.Store(int64(retry))
	return c
}

// Write implements net.Conn.
func (c *unproven) Write(p []byte) (int, error) {
	if err := c.prove(time.Since(c.made)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// prove returns an error when the connection is known to lead elsewhere.
func (c *unproven) prove(age time.Duration) error {
	again := c.again.Load()
	if c.settled.Load() || int64(age) < again || !c.again.CompareAndSwap(again, int64(age+retry)) {
		return nil
	}
	verdict, err := c.verifier.check(c.verifier.ctx, c.target)
	if err != nil || verdict == Unknown {
		return nil
	}
	c.settled.Store(true)
	if verdict == Wrong {
		_ = c.Close() // the error is the one that matters
		return ErrWrong
	}
	return nil
}
