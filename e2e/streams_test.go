//go:build e2e

package e2e

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// streams are clients of streams without an end. Each opens another one when the one
// before was closed as its protocol says, and counts every other end as lost.
type streams struct {
	c       *cluster
	edge    host
	tls     *tls.Config
	stopped atomic.Bool
	wait    sync.WaitGroup

	opened, closed atomic.Int64
	mu             sync.Mutex
	lost           []string
}

// startStreams opens so many streams of each kind and waits until all are open.
func (c *cluster) startStreams(edge host, each int) *streams {
	c.t.Helper()
	config := c.client(edge).Transport.(*http.Transport).TLSClientConfig.Clone()
	config.ServerName, config.NextProtos = rollingPublic, []string{"http/1.1"}
	s := &streams{c: c, edge: edge, tls: config}
	for range each {
		s.wait.Go(func() { s.keep("events", s.events) })
		s.wait.Go(func() { s.keep("websocket", s.webSocket) })
	}
	eventually(c.t, 20*time.Second, "streams are open", func() error {
		if n := s.opened.Load(); n < int64(2*each) {
			return fmt.Errorf("%d of %d", n, 2*each)
		}
		return nil
	})
	return s
}

// stop ends the clients after the streams that they have.
func (s *streams) stop() {
	s.stopped.Store(true)
	s.wait.Wait()
}

func (s *streams) keep(kind string, one func(net.Conn, *bufio.Reader) error) {
	for !s.stopped.Load() {
		began := time.Now()
		err := s.open(one)
		if s.stopped.Load() {
			return
		}
		if err != nil {
			s.mu.Lock()
			s.lost = append(s.lost, fmt.Sprintf("%s after %v: %v", kind, time.Since(began).Round(time.Millisecond), err))
			s.mu.Unlock()
			pause(100 * time.Millisecond)
			continue
		}
		s.closed.Add(1)
	}
}

func (s *streams) open(one func(net.Conn, *bufio.Reader) error) error {
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 3 * time.Second}, "tcp", s.edge.at(httpsPort), s.tls)
	if err != nil {
		return err
	}
	defer conn.Close()
	return one(conn, bufio.NewReader(conn))
}

// events ends well with a whole answer.
func (s *streams) events(conn net.Conn, reader *bufio.Reader) error {
	if _, err := fmt.Fprintf(conn, "GET /?stream HTTP/1.1\r\nHost: %s\r\n\r\n", rollingPublic); err != nil {
		return err
	}
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("status %s", response.Status)
	}
	s.opened.Add(1)
	for buffer := make([]byte, 512); ; {
		if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
			return err
		}
		if _, err := response.Body.Read(buffer); err == io.EOF || s.stopped.Load() {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// webSocket ends well with a close frame.
func (s *streams) webSocket(conn net.Conn, reader *bufio.Reader) error {
	if _, err := fmt.Fprintf(conn, "GET /?stream HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: x\r\n\r\n", rollingPublic); err != nil {
		return err
	}
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("status %s", response.Status)
	}
	s.opened.Add(1)
	for frame := make([]byte, 4); ; {
		if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
			return err
		}
		if _, err := io.ReadFull(reader, frame[:3]); err != nil || s.stopped.Load() {
			return err
		}
		if frame[0] == 0x88 {
			return nil
		}
	}
}

// judge fails the test for every stream that was not closed as it should be.
func (s *streams) judge(t testing.TB, least int) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Printf("streams: %d opened, %d closed, %d lost\n", s.opened.Load(), s.closed.Load(), len(s.lost))
	if len(s.lost) > 0 {
		t.Errorf("%d streams were lost, the first: %s", len(s.lost), s.lost[0])
	}
	if n := s.closed.Load(); n < int64(least) {
		t.Errorf("%d streams were closed, want %d: each once by each process that left", n, least)
	}
}
