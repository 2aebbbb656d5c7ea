package caddy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/runway-platform/runway/ingress/route"
)

// maxFuzzed bounds host and path, well below the limit of all headers.
const maxFuzzed = 4 << 10

// FuzzRequest asks the running proxy with any host and path. Each request has one
// answer, only those for the replica's own name reach it and with the path that was
// asked, and the next good request is served.
func FuzzRequest(f *testing.F) {
	asked := make(chan *http.Request, 4)
	host := proxy.route(f, nil, upstream(f, func(_ http.ResponseWriter, r *http.Request) { asked <- r }))
	internal := strings.Replace(host, ".example.com", ".default.internal", 1)
	for _, seed := range [][2]string{
		{"NAME", "/"}, {"NAME:80", "/a%2Fb?c=d;e"}, {"NAME.", "//x/../y"}, {"name.", "/%"}, {"", "*"}, {"NAME", "http://other.default.internal/a"},
		{"other.default.internal", "http://NAME/a"}, {"127.0.0.1", "/\x00"}, {"[::1]:80", "/\xff"}, {"NAME@x", "/#f"}, {"a..b", "NAME:80"}, {strings.Repeat("a.", 200), "/"},
		{"NAME, NAME", "/ HTTP/1.1"}, {" NAME\t", "?q"}, {"xn--nme-0na", "/%zz"}, {"NAME%00", "/\u202e"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, name, target string) {
		name, target = strings.ReplaceAll(name, "NAME", internal), strings.ReplaceAll(target, "NAME", internal)
		if len(name)+len(target) > maxFuzzed || strings.ContainsAny(name+target, "\r\n") {
			t.Skip() // other lines are other requests: see TestSmuggling_NothingHidesInARequest
		}
		status := ask(t, "GET "+target+" HTTP/1.1\r\nHost: "+name+"\r\nConnection: close\r\n\r\n")
		select {
		case r := <-asked:
			checkPassedOn(t, r, internal, target)
		default:
			if status == http.StatusOK {
				t.Error("answered without the replica")
			}
		}
		if got := ask(t, "GET / HTTP/1.1\r\nHost: "+internal+"\r\nConnection: close\r\n\r\n"); got != http.StatusOK {
			t.Fatalf("the next good request: %d", got)
		}
		<-asked
	})
}

// checkPassedOn checks what the replica was asked.
func checkPassedOn(t *testing.T, r *http.Request, name, target string) {
	t.Helper()
	if got, ok := route.Host(r.Host); !ok || got != name {
		t.Errorf("the replica of %q was asked as %q", name, r.Host)
	}
	want, err := url.ParseRequestURI(target)
	if err != nil {
		t.Fatalf("target %q was passed on as %q: %v", target, r.RequestURI, err)
	}
	if want.Path == "" {
		want.Path = "/"
	}
	if r.URL.Path != want.Path {
		t.Errorf("path of %q was passed on as %q", target, r.URL.Path)
	}
	if len(r.Header[requestIDHeader]) != 1 {
		t.Errorf("request IDs = %q", r.Header[requestIDHeader])
	}
}

// ask sends one request on a connection of its own and returns the status of the one
// answer.
func ask(t *testing.T, request string) int {
	t.Helper()
	conn, err := net.Dial("tcp", proxy.internal)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(conn)
	res, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatalf("answer to %q: %v", request, err)
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		t.Fatal(err)
	}
	if _, err := http.ReadResponse(reader, nil); err == nil {
		t.Errorf("two answers to %q", request)
	}
	return res.StatusCode
}
