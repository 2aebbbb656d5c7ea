package caddy

import (
	"context"
	"crypto/tls"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/runway-platform/runway/ingress/route"
)

// A call fails or succeeds by its gRPC status: the HTTP status is 200 either way.
func TestGRPC_IsCountedByItsStatus(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		code codes.Code
		want int // class
	}{
		{codes.OK, 2}, {codes.Canceled, 4}, {codes.NotFound, 4}, {codes.PermissionDenied, 4}, {codes.ResourceExhausted, 4},
		{codes.Unknown, 5}, {codes.DeadlineExceeded, 5}, {codes.Unimplemented, 5}, {codes.Internal, 5}, {codes.Unavailable, 5}, {codes.DataLoss, 5},
	} {
		t.Run(test.code.String(), func(t *testing.T) {
			t.Parallel()
			host := proxy.route(t, func(w *route.Workload) { w.Protocol = route.H2C }, answerGRPC(t, test.code))
			if got := status.Code(call(t, host)); got != test.code {
				t.Fatalf("the client sees %v, want %v", got, test.code)
			}
			awaitClass(t, host, 7, test.want)
		})
	}
}

// An answer of ours to a gRPC client counts like any other of ours.
func TestGRPC_ARefusalCountsAsFailed(t *testing.T) {
	t.Parallel()
	broken := httpH2C(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	host := proxy.route(t, func(w *route.Workload) { w.Protocol = route.H2C }, broken)
	if got := status.Code(call(t, host)); got != codes.Unavailable {
		t.Fatalf("the client sees %v", got)
	}
	awaitClass(t, host, 7, 5)
}

func TestCountedGRPC(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		h    http.Header
		http int
		want int
	}{
		{"in the headers", http.Header{"Grpc-Status": {"13"}}, 200, 502},
		{"in the trailers", http.Header{http.TrailerPrefix + "Grpc-Status": {"14"}}, 200, 502},
		{"none", http.Header{}, 200, 502},
		{"odd", http.Header{"Grpc-Status": {"x"}}, 200, 502},
		{"not gRPC", http.Header{}, 404, 404},
		{"gRPC-Web", http.Header{"Content-Type": {"application/grpc-web+proto"}}, 200, 200},
		{"gRPC-Web with a status", http.Header{"Content-Type": {"application/grpc-web"}, "Grpc-Status": {"2"}}, 200, 502},
	} {
		if got := countedGRPC(test.http, test.h); got != test.want {
			t.Errorf("%s: counted as %d, want %d", test.name, got, test.want)
		}
	}
}

func TestBody_RefusedForItsLengthIsCounted(t *testing.T) {
	t.Parallel()
	host := proxy.route(t, func(w *route.Workload) { w.BodyLimit = 10 }, upstream(t, say("hello")))
	res, err := proxy.client.Do(newRequest(t, http.MethodPost, "https://"+host+"/", strings.NewReader("12345678901")))
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusRequestEntityTooLarge {
		t.Fatalf("status %d", res.StatusCode)
	}
	awaitClass(t, host, 0, 4)
}

// answerGRPC is a server that ends every call with one status.
func answerGRPC(t *testing.T, c codes.Code) string {
	t.Helper()
	return serveGRPC(t, grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		if c == codes.OK {
			return stream.SendMsg(new(emptyMessage))
		}
		return status.Error(c, "as asked")
	}), grpc.ForceServerCodec(emptyCodec{}), grpc.WaitForHandlers(true)))
}

func call(t *testing.T, host string) error {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+proxy.https, grpc.WithAuthority(host),
		grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: proxy.ca.pool})))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	return conn.Invoke(ctx, "/test.Service/Call", new(emptyMessage), new(emptyMessage), grpc.ForceCodec(emptyCodec{}))
}

type emptyMessage struct{}

// emptyCodec carries messages without content.
type emptyCodec struct{}

func (emptyCodec) Marshal(any) ([]byte, error) { return nil, nil }
func (emptyCodec) Unmarshal([]byte, any) error { return nil }
func (emptyCodec) Name() string                { return "empty" }

// awaitClass waits for one answer of the class, and none of another.
func awaitClass(t *testing.T, host string, revision uint64, class int) {
	t.Helper()
	waitFor(t, "the count", func() bool { return find(proxy.stats.Snapshot(), host, revision).Total() == 1 })
	if c := find(proxy.stats.Snapshot(), host, revision); c.Responses[class-1] != 1 {
		t.Errorf("counted as %v (1xx first), want one %dxx", c.Responses, class)
	}
}
