package caddy

import (
	"encoding/binary"
	"net"
	"sync"
	"time"
)

// goingAway is a whole close frame with status 1001, from server to client.
var goingAway = []byte{0x88, 2, 0x03, 0xe9}

// webSocket is the client's side of a tunnel. It knows where the frames end that go
// to the client, so that it can put a close frame between two of them.
type webSocket struct {
	net.Conn

	mu     sync.Mutex
	frames frames
	ending bool
	// closed means that the close frame was sent and nothing may follow it.
	closed bool
}

// end closes the stream after the frame that is under way. The client answers with a
// close frame of its own, which reaches the replica; whoever does not end the
// connection within the time for closing loses it.
func (s *webSocket) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ending = true
	time.AfterFunc(closing/2, func() { _ = s.Close() })
	if s.frames.between() {
		_ = s.goAway() // the connection is lost otherwise
	}
}

// goAway sends the close frame; mu is held.
func (s *webSocket) goAway() error {
	s.closed = true
	_ = s.SetWriteDeadline(time.Now().Add(closing / 2)) // it is closed then anyway
	_, err := s.Conn.Write(goingAway)
	return err
}

// net.Conn

// Write sends a part of the replica's frames.
func (s *webSocket) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return len(p), nil // the client has been told that nothing follows
	}
	rest := p
	if s.ending {
		rest = p[:s.frames.toEnd(p)]
	} else {
		s.frames.pass(p)
	}
	n, err := s.Conn.Write(rest)
	if err != nil {
		return n, err
	}
	if s.ending && s.frames.between() {
		if err := s.goAway(); err != nil {
			return n, err
		}
		return len(p), nil
	}
	return n, nil
}

// CloseWrite ends what is sent to the client and leaves the other direction open.
func (s *webSocket) CloseWrite() error {
	if half, ok := s.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return s.Close()
}

// frames follows the borders of WebSocket frames (RFC 6455, 5.2) in one direction.
type frames struct {
	header []byte // of the frame that begins, not complete
	left   uint64 // bytes of the frame that are still to come
}

// between tells that no frame is under way.
func (f *frames) between() bool { return f.left == 0 && len(f.header) == 0 }

// pass takes bytes that were sent.
func (f *frames) pass(p []byte) {
	for len(p) > 0 {
		p = p[f.step(p):]
	}
}

// toEnd takes bytes up to the end of the frame that is under way and returns how many
// those are; all of them when it does not end in them.
func (f *frames) toEnd(p []byte) int {
	taken := 0
	for taken < len(p) && !f.between() {
		taken += f.step(p[taken:])
	}
	return taken
}

// step takes some bytes, at most to the end of a frame.
func (f *frames) step(p []byte) int {
	if f.left > 0 {
		n := min(uint64(len(p)), f.left)
		f.left -= n
		return int(n) //nolint:gosec // at most the length
	}
	f.header = append(f.header, p[0])
	if size, complete := f.payload(); complete {
		f.header, f.left = f.header[:0], size
	}
	return 1
}

// payload returns what follows the header once that is complete.
func (f *frames) payload() (size uint64, complete bool) {
	if len(f.header) < 2 {
		return 0, false
	}
	length, more := f.header[1]&0x7f, 0
	switch length {
	case 126:
		more = 2
	case 127:
		more = 8
	}
	if len(f.header) < 2+more {
		return 0, false
	}
	switch more {
	case 2:
		size = uint64(binary.BigEndian.Uint16(f.header[2:]))
	case 8:
		size = binary.BigEndian.Uint64(f.header[2:])
	default:
		size = uint64(length)
	}
	if f.header[1]&0x80 != 0 {
		size += 4 // the mask, which a server must not use
	}
	return size, true
}
