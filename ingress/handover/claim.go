package handover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// maxSockets bounds what is passed at once; the kernel's limit is 253.
	maxSockets = 200
	// maxNames bounds the names of the sockets, in bytes.
	maxNames = 64 << 10
	// answerWithin bounds the wait for one word of the other process, which is on
	// this machine and ends its session with the coordinator at most.
	answerWithin = 10 * time.Second
)

// What the two processes say to each other after the sockets.
const (
	wordReady    = "ready\n"
	wordReleased = "released\n"
)

// errWord means that the other process said what is not understood.
var errWord = errors.New("unexpected word from the other process")

// ErrGone means that the predecessor ended before it was taken over from: there is
// nobody to wait for.
var ErrGone = errors.New("the predecessor is gone")

// claim asks the predecessor for its sockets, if there is one.
func (s *Sockets) claim() error {
	conn, err := net.DialTimeout("unix", s.path(socketName), answerWithin)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reach the predecessor: %w", err)
	}
	received, err := receive(conn.(*net.UnixConn))
	if err != nil {
		return errors.Join(fmt.Errorf("receive the predecessor's sockets: %w", err), conn.Close())
	}
	s.claimed, s.inherited = conn, received
	s.log.Info("a predecessor serves, its sockets are inherited", "sockets", len(received))
	return nil
}

// Claimed tells whether a predecessor waits for TakeOver.
func (s *Sockets) Claimed() bool { return s.claimed != nil }

// Alone tells that no process is there for successors.
func (s *Sockets) Alone() bool {
	conn, err := net.DialTimeout("unix", s.path(socketName), answerWithin)
	if err == nil {
		_ = conn.Close() // nothing was said
	}
	return err != nil
}

// Predecessor is the way to the process that was taken over from.
type Predecessor struct {
	net.Conn
	process *os.Process
}

// Kill ends the predecessor by force. It returns os.ErrProcessDone when it has ended.
func (p *Predecessor) Kill() error {
	if p.process == nil {
		return errNoProcess
	}
	return p.process.Kill()
}

// errNoProcess means that the predecessor's process is not visible from here.
var errNoProcess = errors.New("the process of the predecessor is not known")

// processOf finds the process at the other end; nil when it cannot. The handle stays that
// of this process when its number is used again.
func processOf(conn net.Conn) *os.Process {
	way, ok := conn.(*net.UnixConn)
	if !ok {
		return nil
	}
	raw, err := way.SyscallConn()
	if err != nil {
		return nil
	}
	var process *os.Process
	_ = raw.Control(func(fd uintptr) { // a closed connection has no process
		peer, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) //nolint:gosec // a descriptor
		if err == nil && peer.Pid > 0 {
			process, _ = os.FindProcess(int(peer.Pid))
		}
	})
	return process
}

// TakeOver tells the predecessor that this process is about to serve. When it
// returns, the predecessor has saved its routes and has no session any more; it
// serves on until it is told over the returned connection that it need not. It
// returns ErrGone when the predecessor has ended.
func (s *Sockets) TakeOver() (*Predecessor, error) {
	conn := s.claimed
	s.claimed = nil
	process := processOf(conn)
	if err := within(conn, func() error {
		if _, err := io.WriteString(conn, wordReady); err != nil {
			return err
		}
		return expect(conn, wordReleased)
	}); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
			err = ErrGone
		}
		return nil, errors.Join(fmt.Errorf("take over: %w", err), conn.Close())
	}
	return &Predecessor{Conn: conn, process: process}, nil
}

// Claim is a successor that has the sockets and is ready to serve.
type Claim struct{ conn net.Conn }

// Release tells the successor to begin, and returns the way to it.
func (c *Claim) Release() (net.Conn, error) {
	if err := within(c.conn, func() error {
		_, err := io.WriteString(c.conn, wordReleased)
		return err
	}); err != nil {
		return nil, errors.Join(fmt.Errorf("release: %w", err), c.conn.Close())
	}
	return c.conn, nil
}

// Offer waits for successors until ctx ends, gives each the sockets, and sends those
// that are ready to claims.
func (s *Sockets) Offer(ctx context.Context, claims chan<- *Claim) error {
	listener, err := s.announce()
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = listener.Close() })()
	for {
		conn, err := listener.AcceptUnix()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accept a successor: %w", err)
		}
		if err := s.offerTo(ctx, conn, claims); err != nil {
			s.log.Warn("a successor did not take over", "err", err)
			_ = conn.Close() // it is of no use any more
		}
	}
}

// announce puts this process in the place of the predecessor.
func (s *Sockets) announce() (*net.UnixListener, error) {
	fresh := s.path(socketName + ".new")
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("remove old socket: %w", err)
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: fresh, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen for successors: %w", err)
	}
	listener.SetUnlinkOnClose(false) // the path is the successor's by then
	if err := os.Rename(fresh, s.path(socketName)); err != nil {
		return nil, errors.Join(fmt.Errorf("listen for successors: %w", err), listener.Close())
	}
	return listener, nil
}

// offerTo gives the sockets to one successor and waits until it is ready: it may
// still have to read what it needs.
func (s *Sockets) offerTo(ctx context.Context, conn *net.UnixConn, claims chan<- *Claim) error {
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if err := within(conn, func() error {
		if err := send(conn, s.held); err != nil {
			return err
		}
		return expect(conn, wordReady)
	}); err != nil {
		return err
	}
	select {
	case claims <- &Claim{conn}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// send passes the sockets that are still open, with their names.
func send(conn *net.UnixConn, held []holding) error {
	var names []name
	var descriptors []int
	for _, one := range held {
		file, err := one.socket.(interface{ File() (*os.File, error) }).File()
		if err != nil {
			continue // closed: it was drained already
		}
		defer file.Close()
		names, descriptors = append(names, one.name), append(descriptors, int(file.Fd())) //nolint:gosec // a descriptor
	}
	encoded, err := json.Marshal(names)
	if err != nil {
		return fmt.Errorf("encode names of sockets: %w", err)
	}
	if _, _, err := conn.WriteMsgUnix(append(encoded, '\n'), syscall.UnixRights(descriptors...), nil); err != nil {
		return fmt.Errorf("pass sockets: %w", err)
	}
	return nil
}

// receive is the other end of send.
func receive(conn *net.UnixConn) (received []inherited, err error) {
	message, control := make([]byte, maxNames), make([]byte, syscall.CmsgSpace(maxSockets*4))
	var files []*os.File
	err = within(conn, func() error {
		n, controls, _, _, err := conn.ReadMsgUnix(message, control)
		if err != nil {
			return err
		}
		message = message[:n]
		files, err = descriptors(control[:controls])
		return err
	})
	if err != nil {
		return nil, err
	}
	var names []name
	if err := json.Unmarshal(message, &names); err != nil || len(names) != len(files) {
		return nil, errors.Join(fmt.Errorf("%d sockets with %d names: %w", len(files), len(names), errWord), err)
	}
	for n, file := range files {
		one := inherit(file, names[n])
		if one == nil {
			return nil, fmt.Errorf("use %s %q: %w", names[n].Network, names[n].Address, errNotSocket)
		}
		received = append(received, *one)
	}
	return received, nil
}

func descriptors(control []byte) ([]*os.File, error) {
	messages, err := syscall.ParseSocketControlMessage(control)
	if err != nil {
		return nil, fmt.Errorf("read control message: %w", err)
	}
	var files []*os.File
	for _, message := range messages {
		numbers, err := syscall.ParseUnixRights(&message)
		if err != nil {
			return nil, fmt.Errorf("read passed sockets: %w", err)
		}
		for _, fd := range numbers {
			syscall.CloseOnExec(fd)
			files = append(files, os.NewFile(uintptr(fd), "inherited"))
		}
	}
	return files, nil
}

// expect reads one word, and no byte of what follows it.
func expect(conn net.Conn, word string) error {
	said := make([]byte, len(word))
	if _, err := io.ReadFull(conn, said); err != nil {
		return fmt.Errorf("wait for %q: %w", word, err)
	}
	if string(said) != word {
		return fmt.Errorf("wait for %q, got %q: %w", word, said, errWord)
	}
	return nil
}

// within bounds what is said over a connection.
func within(conn net.Conn, say func() error) error {
	if err := conn.SetDeadline(time.Now().Add(answerWithin)); err != nil {
		return err
	}
	if err := say(); err != nil {
		return err
	}
	return conn.SetDeadline(time.Time{})
}
