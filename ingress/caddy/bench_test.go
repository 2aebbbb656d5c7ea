package caddy

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/runway-platform/runway/ingress/route"
)

// The benchmark runs both proxies as processes of their own, as Caddy is one per
// process: this test binary, with the role and the replica in its environment.
const (
	roleEnv    = "RUNWAY_BENCH_ROLE"
	replicaEnv = "RUNWAY_BENCH_REPLICA"
	benchHost  = "bench.default.internal"
	benchConns = 64
)

// BenchmarkAgainstBareCaddy loads this proxy and a bare Caddy reverse_proxy in
// turns of one second, with 64 connections and a small answer, over plain HTTP.
func BenchmarkAgainstBareCaddy(b *testing.B) {
	replica := startReplica(b)
	ours, bare := startRole(b, "runway", replica), startRole(b, "bare", replica)
	var oursTotal, bareTotal int64
	for b.Loop() {
		oursTotal += load(b, ours, time.Second)
		bareTotal += load(b, bare, time.Second)
	}
	b.ReportMetric(float64(oursTotal)/float64(b.N), "runway_req/s")
	b.ReportMetric(float64(bareTotal)/float64(b.N), "bare_req/s")
	b.ReportMetric(float64(oursTotal)/float64(bareTotal), "ratio")
}

// load returns the number of answers within d.
func load(b *testing.B, address string, d time.Duration) int64 {
	b.Helper()
	var total atomic.Int64
	var wg sync.WaitGroup
	end := time.Now().Add(d)
	for range benchConns {
		wg.Go(func() {
			n, err := loadConn(address, end)
			total.Add(n)
			if err != nil {
				b.Error(err)
			}
		})
	}
	wg.Wait()
	return total.Load()
}

func loadConn(address string, end time.Time) (n int64, err error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	request := []byte("GET / HTTP/1.1\r\nHost: " + benchHost + "\r\n\r\n")
	reader := bufio.NewReader(conn)
	for ; time.Now().Before(end); n++ {
		if _, err := conn.Write(request); err != nil {
			return n, err
		}
		if err := skipMessage(reader); err != nil {
			return n, err
		}
	}
	return n, nil
}

// skipMessage reads one message whose body, if any, has a length.
func skipMessage(r *bufio.Reader) error {
	length := 0
	for first := true; ; first = false {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if first && bytes.HasPrefix(line, []byte("HTTP/1.1 ")) && !bytes.HasPrefix(line, []byte("HTTP/1.1 200")) {
			return fmt.Errorf("answer %q", line)
		}
		if len(line) == 2 {
			_, err := r.Discard(length)
			return err
		}
		if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return err
			}
		}
	}
}

// startReplica serves a small answer as cheaply as can be.
func startReplica(b *testing.B) string {
	b.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				reader := bufio.NewReader(conn)
				for skipMessage(reader) == nil {
					if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"); err != nil {
						return
					}
				}
			}()
		}
	}()
	return listener.Addr().String()
}

func startRole(b testing.TB, role, replica string) string {
	b.Helper()
	address, stop := startProcess(b, role, replica)
	b.Cleanup(func() {
		if err := stop(); err != nil {
			b.Error(err)
		}
	})
	return address
}

// startProcess returns the address of the role and what ends it and waits for that.
func startProcess(b testing.TB, role, replica string) (string, func() error) {
	b.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), roleEnv+"="+role, replicaEnv+"="+replica)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	address, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		b.Fatalf("start %s: %v", role, err)
	}
	return strings.TrimSpace(address), func() error { return errors.Join(stdin.Close(), cmd.Wait()) }
}

// playRole is what the child processes of tests do: they serve until
// their standard input ends.
func playRole(role string) error {
	address, stop, err := map[string]func(string) (string, func() error, error){
		"runway": playRunway, "bare": playBare, "broken": playBroken,
	}[role](os.Getenv(replicaEnv))
	if err != nil {
		return err
	}
	fmt.Println(address)
	_, err = io.Copy(io.Discard, os.Stdin)
	return errors.Join(err, stop())
}

func playRunway(replica string) (string, func() error, error) {
	f, stop, err := startProxy()
	if err != nil {
		return "", nil, err
	}
	_, err = f.routes.Apply(route.Set{Full: true, Generation: 1, Workloads: []route.Workload{{
		Key:           route.Key{Space: "default", Service: "bench", Environment: "production"},
		InternalHosts: []string{benchHost}, RequestTimeout: time.Minute, BodyLimit: 10 << 20,
		Endpoints: []route.Endpoint{{Replica: "r1", Address: netip.MustParseAddrPort(replica), Revision: 1}},
	}}})
	return f.internal, stop, err
}

// playBroken runs the proxy on a socket that fails at once.
func playBroken(string) (string, func() error, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	cfg := Config{
		Listeners: Listeners{InternalHTTP: []net.Listener{brokenListener{l}}}, Routes: route.NewLive(), DrainTimeout: testDrain,
		Log: slog.New(slog.DiscardHandler),
	}
	ended := make(chan error, 1)
	go func() { ended <- Run(context.Background(), cfg) }()
	return "", func() error { return <-ended }, nil
}

// playBare runs Caddy's reverse proxy as an operator would tune it: keep-alive
// to the replica for every connection, no access log, no automatic HTTPS.
func playBare(replica string) (string, func() error, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		return "", nil, err
	}
	bare := server([]string{"h1"}, object{
		"handler":   "reverse_proxy",
		"upstreams": []object{{"dial": replica}},
		"transport": object{"protocol": "http", "compression": false, "keep_alive": object{"max_idle_conns_per_host": idlePerReplica}},
	})
	bare["listen"] = []string{address}
	cfg, err := json.Marshal(object{
		"admin":   object{"disabled": true, "config": object{"persist": false}},
		"logging": object{"logs": object{"default": object{"level": "ERROR"}}},
		"apps":    object{"http": object{"servers": object{"bare": bare}}},
	})
	if err != nil {
		return "", nil, err
	}
	return address, caddy.Stop, caddy.Load(cfg, true)
}
