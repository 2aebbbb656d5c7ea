package port

import (
	"container/list"
	"net"
	"sync"
)

const (
	// maxHandshakes are under way at once; a further one takes the place of the
	// oldest, which has had the most time and not used it.
	maxHandshakes = 256
	// maxHandshakesEach bounds those of one address, so that one machine that opens
	// connections and says nothing keeps nobody else out.
	maxHandshakesEach = 64
	// maxConnections is above the machines and people of any cluster that this design
	// serves, and below what exhausts a process.
	maxConnections = 15_000
	// maxConnectionsEach bounds those of one address, behind which may be a whole
	// office.
	maxConnectionsEach = 1_000
)

// peers counts connections and bounds them. What is above a bound is closed, not kept
// waiting: nobody pays for it but who opened it. Safe for concurrent use.
type peers struct {
	mu sync.Mutex
	// open and shaking are connections and handshakes by address.
	open, shaking map[string]int
	total         int
	// order has the handshakes under way, oldest first.
	order *list.List
}

func newPeers() *peers {
	return &peers{open: map[string]int{}, shaking: map[string]int{}, order: list.New()}
}

// counted is a connection that gives its place back when it is closed.
type counted struct {
	net.Conn
	leave func()
}

// Close implements net.Conn.
func (c *counted) Close() error {
	c.leave()
	return c.Conn.Close()
}

// enter gives a connection its place, or says that there is none.
func (p *peers) enter(conn net.Conn) (*counted, bool) {
	address := addressOf(conn)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.total >= maxConnections || p.open[address] >= maxConnectionsEach {
		return nil, false
	}
	p.total++
	p.open[address]++
	return &counted{Conn: conn, leave: sync.OnceFunc(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.total--
		decrease(p.open, address)
	})}, true
}

// shake begins a handshake, and closes the oldest one when there are too many. done
// ends it; ok is false when the address has too many of its own.
func (p *peers) shake(conn net.Conn) (done func(), ok bool) {
	address := addressOf(conn)
	p.mu.Lock()
	if p.shaking[address] >= maxHandshakesEach {
		p.mu.Unlock()
		return nil, false
	}
	p.shaking[address]++
	place := p.order.PushBack(conn)
	var oldest net.Conn
	if p.order.Len() > maxHandshakes {
		oldest = p.order.Front().Value.(net.Conn)
	}
	p.mu.Unlock()
	if oldest != nil {
		oldest.Close() // its handshake fails, and gives the place back
	}
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.order.Remove(place)
		decrease(p.shaking, address)
	}, true
}

func decrease(counts map[string]int, address string) {
	if counts[address]--; counts[address] == 0 {
		delete(counts, address)
	}
}

// addressOf is the peer without its port.
func addressOf(conn net.Conn) string {
	address := conn.RemoteAddr().String()
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	return address
}
