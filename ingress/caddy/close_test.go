package caddy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/runway-platform/runway/ingress/route"
)

// streamDrain is the drain time of the replicas below: their streams have three
// quarters of it.
const streamDrain = 2 * time.Second

// leave takes the replicas of a route away, as the coordinator does when they drain.
func leave(t *testing.T, w route.Workload) time.Time {
	t.Helper()
	w.Endpoints, w.Vacant = nil, true
	proxy.apply(t, route.Set{Workloads: []route.Workload{w}, At: time.Now()})
	return time.Now()
}

// hadItsTime fails the test when a stream ended early. That it does not end late is for
// TestStreams_EndWhenTheyAreDue: by this clock, it would be the machine that is late.
func hadItsTime(t *testing.T, left time.Time) {
	t.Helper()
	if took := time.Since(left); took < streamDrain*3/4-100*time.Millisecond {
		t.Errorf("ended %v after its replica began to drain, want not before about %v", took, streamDrain*3/4)
	}
}

func draining(t *testing.T, protocol route.Protocol, upstream string) (string, route.Workload) {
	t.Helper()
	var w route.Workload
	host := proxy.route(t, func(given *route.Workload) {
		given.Protocol, given.Endpoints[0].DrainTimeout = protocol, streamDrain
		w = *given
	}, upstream)
	return host, w
}

func TestStream_EventsEndWhole(t *testing.T) {
	t.Parallel()
	for _, protocol := range []int{1, 2} {
		host, w := draining(t, route.HTTP1, upstream(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			for r.Context().Err() == nil {
				_, _ = fmt.Fprint(w, "data: x\n\n")
				_ = http.NewResponseController(w).Flush()
				<-time.After(20 * time.Millisecond)
			}
		}))
		client := proxy.newClient()
		client.Transport.(*http.Transport).ForceAttemptHTTP2 = protocol == 2 //nolint:forcetypeassert // a test
		res, err := client.Get("https://" + host + "/")
		if err != nil {
			t.Fatal(err)
		}
		left := leave(t, w)
		if _, err := io.Copy(io.Discard, res.Body); err != nil || res.ProtoMajor != protocol {
			t.Errorf("HTTP/%d: the answer is not whole: %v", res.ProtoMajor, err)
		}
		hadItsTime(t, left)
		_ = res.Body.Close()
		client.CloseIdleConnections()
		awaitClass(t, host, 7, 2)
	}
}

func TestStream_GRPCEndsWithAStatus(t *testing.T) {
	t.Parallel()
	address, _ := newGRPC(t)
	host, w := draining(t, route.H2C, address)
	client := grpcClient(t, proxy.https, host, credentials.NewTLS(&tls.Config{RootCAs: proxy.ca.pool}))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	stream, err := client.Watch(ctx, &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	left := leave(t, w)
	if _, err := stream.Recv(); status.Code(err) != codes.Unavailable || status.Convert(err).Message() != errDrained.Error() {
		t.Errorf("the stream ends with %v, want UNAVAILABLE of ours", err)
	}
	hadItsTime(t, left)
	awaitClass(t, host, 7, 2) // it had its time: nothing failed
}

func TestStream_WebSocketEndsWithACloseFrame(t *testing.T) {
	t.Parallel()
	replied := make(chan []byte, 1)
	frame := append([]byte{0x82, 126, 0x01, 0x00}, bytes.Repeat([]byte("x"), 256)...)
	host, w := draining(t, route.HTTP1, upstream(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
		go func() { // frames in pieces, so that the end comes within one
			for {
				for part := frame; len(part) > 0; part = part[min(100, len(part)):] {
					if _, err := conn.Write(part[:min(100, len(part))]); err != nil {
						return
					}
					<-time.After(10 * time.Millisecond)
				}
			}
		}()
		reply := make([]byte, 8)
		if _, err := io.ReadFull(buffered, reply); err == nil {
			replied <- reply
		}
	}))
	conn := dialTLS(t, host)
	reader := bufio.NewReader(conn)
	write(t, conn, "GET /ws HTTP/1.1\r\nHost: "+host+"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: x\r\n\r\n")
	if res, err := http.ReadResponse(reader, nil); err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("upgrade = %v, %v", res, err)
	}
	left := leave(t, w)
	got := make([]byte, len(frame))
	for {
		if _, err := io.ReadFull(reader, got[:2]); err != nil {
			t.Fatalf("the stream broke: %v", err)
		}
		if got[0] == goingAway[0] {
			break
		}
		if _, err := io.ReadFull(reader, got[2:]); err != nil || !bytes.Equal(got, frame) {
			t.Fatalf("a frame is not whole: %v", err)
		}
	}
	if _, err := io.ReadFull(reader, got[2:4]); err != nil || !bytes.Equal(got[:4], goingAway) {
		t.Errorf("close frame % x, %v, want % x", got[:4], err, goingAway)
	}
	hadItsTime(t, left)
	reply := []byte{0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe9} // a client's frames are masked
	if _, err := conn.Write(reply); err != nil {
		t.Fatal(err)
	}
	if got := <-replied; !bytes.Equal(got, reply) {
		t.Errorf("the replica hears % x, want the client's close frame % x", got, reply)
	}
	if _, err := io.Copy(io.Discard, reader); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("after the close frame: %v", err)
	}
}

// leased returns a lease of the one replica of a route, and what applies the next set of
// its replicas.
func leased(t *testing.T, one route.Endpoint) (route.Lease, func(generation uint64, endpoints ...route.Endpoint)) {
	t.Helper()
	l := route.NewLive()
	apply := func(generation uint64, endpoints ...route.Endpoint) {
		w := route.Workload{Key: route.Key{Space: "default", Service: "a", Environment: "production"}, Hosts: []string{"a.example.com"}, Endpoints: endpoints}
		if _, err := l.Apply(route.Set{Incarnation: "x", Generation: generation, Full: true, Force: true, At: time.Now(), Workloads: []route.Workload{w}}); err != nil {
			t.Fatal(err)
		}
	}
	apply(1, one)
	lease, err := l.Acquire(route.Public, "a.example.com", time.Now(), new(route.Tried))
	if err != nil {
		t.Fatal(err)
	}
	return lease, apply
}

func TestStreams_EndWhenTheyAreDue(t *testing.T) {
	t.Parallel()
	for drain, want := range map[time.Duration]time.Duration{
		streamDrain: 1500 * time.Millisecond, 4 * time.Second: 3 * time.Second, 30 * time.Second: 29 * time.Second,
	} {
		synctest.Test(t, func(t *testing.T) {
			lease, apply := leased(t, route.Endpoint{Replica: "r", Address: netip.MustParseAddrPort("127.0.0.1:1"), DrainTimeout: drain})
			defer lease.Release()
			s := newStreams()
			var left, ended time.Time
			s.add(&exchange{lease: lease}, func() { ended = time.Now() })
			ctx, cancel := context.WithCancel(t.Context())
			var watching sync.WaitGroup
			watching.Go(func() { s.watch(ctx) })
			time.Sleep(time.Minute) // it has a route
			left = time.Now()
			apply(2)
			time.Sleep(drain)
			cancel()
			watching.Wait()
			if took := ended.Sub(left); took < want || took > want+closingTick {
				t.Errorf("a stream whose replica has %v to drain ended after %v, want %v", drain, took, want)
			}
		})
	}
}

// A replica that gets its route back keeps its streams.
func TestStream_OfAReplicaThatComesBackGoesOn(t *testing.T) {
	t.Parallel()
	one := route.Endpoint{Replica: "r", Address: netip.MustParseAddrPort("127.0.0.1:1"), DrainTimeout: streamDrain}
	lease, apply := leased(t, one)
	defer lease.Release()
	late := time.Now().Add(time.Hour)
	if due(lease, late) {
		t.Error("due with a route")
	}
	if apply(2); !due(lease, late) || due(lease, time.Now()) {
		t.Error("not due an hour after the route is gone, or at once")
	}
	if apply(3, one); due(lease, late) {
		t.Error("due when the route is back")
	}
}

func TestFrames_KnowTheirBorders(t *testing.T) {
	t.Parallel()
	long := append([]byte{0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0}, make([]byte, 1<<16)...)
	masked := append([]byte{0x81, 0x83, 1, 2, 3, 4}, "abc"...)
	for _, frame := range [][]byte{{0x89, 0}, {0x81, 2, 'h', 'i'}, append([]byte{0x82, 126, 0, 200}, make([]byte, 200)...), long, masked} {
		for _, size := range []int{1, 7, len(frame)} {
			var f frames
			for rest := frame; len(rest) > 0; rest = rest[min(size, len(rest)):] {
				f.pass(rest[:min(size, len(rest))])
				if last := len(rest) <= size; f.between() != last {
					t.Fatalf("frame % x in parts of %d: between frames is %v with %d to come", frame[:2], size, f.between(), len(rest)-size)
				}
			}
		}
		var f frames
		f.pass(frame[:1])
		if got := f.toEnd(append(frame[1:len(frame):len(frame)], 0x81, 0)); got != len(frame)-1 {
			t.Errorf("frame % x: the end is after %d, want %d", frame[:2], got, len(frame)-1)
		}
	}
}
