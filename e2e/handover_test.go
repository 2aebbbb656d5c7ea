//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// RELIABILITY row C5. A new process takes the place of an ingress under 1,000
// connections: nothing is refused, nothing is lost, every stream has a proper close and
// is opened again at the new process, and the old one ends by itself.
func TestC5_ANewProcessTakesOver(t *testing.T) {
	const each = 480 // of events and of WebSockets, beside 32 clients that ask
	c := newCluster(t, 1, 1)
	newRolled(c, 2)
	load := c.startClientsWith(beside{streams: each, life: time.Hour, slow: 1}, 200, c.edges...)
	old := c.ingresses[0]
	const times = 2
	for n := range int64(times) {
		next := c.beside(old)
		old.awaitEnd(t, 20*time.Second)
		eventually(t, 20*time.Second, "all streams are open again", func() error { return load.streamsReach(each * (n + 2)) })
		old = next
	}
	load.stop().noneLost(t)
}

// A deployment begins before a process takes over and ends after it: what one process
// confirms is true of both.
func TestC5_ADeploymentGoesOnDuringAHandOver(t *testing.T) {
	c := newCluster(t, 1, 1)
	service := newRolled(c, 2)
	load := c.startClientsWith(beside{streams: 8, life: time.Second, slow: 2}, 300, c.edges...)
	old := c.ingresses[0]
	for range 2 {
		deployed := c.background(service.next()...)
		eventually(t, 20*time.Second, "the deployment is under way", func() error {
			d, err := c.deployment(rollingService)
			if err == nil && d.GetSpec().GetRevision() != uint64(service.revision) {
				err = fmt.Errorf("revision %d", d.GetSpec().GetRevision())
			}
			return err
		})
		next := c.beside(old)
		old.awaitEnd(t, 20*time.Second)
		if end := <-deployed; end.err != nil {
			t.Fatal(end.err)
		}
		c.reported(service)
		old = next
	}
	load.stop().noneLost(t)
}

// A supervisor stops the old process before it starts the next: with sockets that it
// holds itself (LISTEN_FDS) connections wait in them meanwhile.
func TestC5_SocketsOfTheSupervisorOutliveTheProcess(t *testing.T) {
	c := newCluster(t, 1, 1)
	newRolled(c, 2)
	c.ingresses[0].stop(t)
	activated := c.activated(c.ingresses[0], c.edges[0])
	eventually(t, 20*time.Second, "the ingress serves on the passed sockets", func() error {
		_, err := c.get(c.edges[0], rollingPublic, "/")
		return err
	})
	load := c.startClientsWith(beside{streams: 20, life: time.Hour, slow: 1}, 300, c.edges...)
	for range 2 {
		activated.stop(t)
		activated.run(t)
		load.reach(load.now().Requests+300, time.Now().Add(2*time.Second))
	}
	load.stop().noneLost(t)
}

// activated starts the program of an ingress as systemd does, with the sockets of its
// listeners open before and kept until the test ends.
func (c *cluster) activated(p *process, edge host) *process {
	c.t.Helper()
	var files []*os.File
	for _, port := range []uint16{httpPort, httpsPort, internalHTTP} {
		listener, err := listenIn(edge, port)
		if err != nil {
			c.t.Fatal(err)
		}
		file, err := listener.File()
		if err != nil {
			c.t.Fatal(err)
		}
		c.t.Cleanup(func() { listener.Close(); file.Close() })
		files = append(files, file)
	}
	return c.process(p.name+"-activated", func(ctx context.Context) *exec.Cmd {
		plain := p.start(ctx)
		script := append([]string{"-c", `LISTEN_PID=$$ LISTEN_FDS=3 exec "$0" "$@"`}, plain.Args...)
		command := exec.CommandContext(ctx, "/bin/sh", script...)
		command.ExtraFiles = files
		return command
	})
}

// listenIn opens a listener in the network namespace of a host.
func listenIn(h host, port uint16) (listener *net.TCPListener, err error) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		var namespace *os.File
		if namespace, err = os.Open("/run/netns/" + h.name); err != nil {
			return
		}
		defer namespace.Close()
		if err = unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET); err != nil {
			return
		}
		var l net.Listener
		if l, err = net.Listen("tcp", h.at(port)); err == nil {
			listener = l.(*net.TCPListener)
		}
	}()
	<-ended
	return listener, err
}

// streamsReach returns an error unless each kind has opened so many streams.
func (l *clients) streamsReach(opened int64) error {
	s := l.now()
	for _, row := range s.Rows {
		if row.stream() && row.Requests < opened && s.Failed == 0 {
			return fmt.Errorf("%s: %d of %d", row.Kind, row.Requests, opened)
		}
	}
	return nil
}

// noneLost fails the test for every lost request and stream.
func (s loadSummary) noneLost(t testing.TB) {
	t.Helper()
	fmt.Print(s)
	if s.Failed > 0 {
		t.Errorf("%d of %d requests failed:\n%s", s.Failed, s.Requests, s.failures())
	}
}

// The checker must be able to turn red: without the way between the two processes,
// clients find nobody.
func TestC5_WithoutHandOverRequestsAreLost(t *testing.T) {
	c := newCluster(t, 1, 1)
	newRolled(c, 1)
	load := c.startClients(300, c.edges...)
	if err := os.Remove(filepath.Join(c.dir, c.ingresses[0].name, "handover.sock")); err != nil {
		t.Fatal(err)
	}
	c.ingresses[0].stop(t)
	c.beside(c.ingresses[0])
	eventually(t, 20*time.Second, "a failed request is counted", func() error {
		if load.now().Failed == 0 {
			return fmt.Errorf("none of %d", load.now().Requests)
		}
		return nil
	})
	load.stop()
}

// beside starts another process with the configuration of one that runs.
func (c *cluster) beside(p *process) *process {
	c.t.Helper()
	return c.process(p.name, p.start)
}

// awaitEnd waits until the program has ended by itself, and well.
func (p *process) awaitEnd(t testing.TB, most time.Duration) {
	t.Helper()
	select {
	case err := <-p.ended:
		if err != nil {
			t.Errorf("%s ended with %v", p.name, err)
		}
		p.ended = nil
	case <-time.After(most):
		t.Errorf("%s still runs after %s", p.name, most)
	}
}
