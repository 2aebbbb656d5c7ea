package dispatch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

func itoa(i int) string { return strconv.Itoa(i) }

// deliver answers the next log request of an agent, as node.
func (a *fakeAgent) deliver(node string, messages ...*runwayv1.LogUpload) error {
	var request *runwayv1.OpenLogs
	for request == nil {
		message, err := a.stream.Recv()
		if err != nil {
			return err
		}
		request = message.GetOpenLogs()
	}
	stream, err := runwayv1.NewAgentSessionClient(a.bench.conn).UploadLogs(a.bench.as(runwayv1.Role_ROLE_NODE, node))
	if err != nil {
		return err
	}
	for i, message := range messages {
		if i == 0 {
			message.Stream = request.GetStream()
		}
		if err := stream.Send(message); err != nil {
			break // the reason is what CloseAndRecv returns
		}
	}
	_, err = stream.CloseAndRecv()
	return err
}

func lines(texts ...string) *runwayv1.LogUpload {
	upload := &runwayv1.LogUpload{}
	for _, text := range texts {
		upload.Lines = append(upload.Lines, &runwayv1.LogLine{Text: text, Replica: "forged"})
	}
	return upload
}

func TestLogs_LinesOfOneReplica(t *testing.T) {
	t.Parallel()
	b := newBench(t, withReplicas(t, 1), nil)
	a := b.agent("n1")
	uploaded := make(chan error, 1)
	go func() { uploaded <- a.deliver("n1", lines("one", "two"), lines("three")) }()
	stream, err := b.d.Logs(t.Context(), "r1", &runwayv1.LogOptions{Tail: 10})
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	var got []string
	for {
		batch, err := stream.Next(t.Context())
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range batch {
			got = append(got, line.GetReplica()+":"+line.GetText())
		}
	}
	if want := "[r1:one r1:two r1:three]"; fmt.Sprint(got) != want {
		t.Errorf("lines %v, want %v", got, want)
	}
	if err := <-uploaded; err != nil {
		t.Errorf("upload: %v", err)
	}
}

func TestLogs_AgentsOwnReason(t *testing.T) {
	t.Parallel()
	b := newBench(t, withReplicas(t, 1), nil)
	a := b.agent("n1")
	uploaded := make(chan error, 1)
	go func() { uploaded <- a.deliver("n1", &runwayv1.LogUpload{Error: "the segment is damaged"}) }()
	stream, err := b.d.Logs(t.Context(), "r1", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	for err == nil {
		_, err = stream.Next(t.Context())
	}
	if !errors.Is(err, ErrNoUpload) || err.Error() != "the agent did not deliver: the segment is damaged" {
		t.Errorf("Next = %v", err)
	}
	if err := <-uploaded; err != nil {
		t.Errorf("upload: %v", err)
	}
}

func TestLogs_AnotherNodeCannotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, withReplicas(t, 1), nil)
		a := b.agent("n1")
		uploaded := make(chan error, 1)
		go func() { uploaded <- a.deliver("n2", lines("forged")) }()
		if _, err := b.d.Logs(t.Context(), "r1", nil); !errors.Is(err, ErrNoUpload) {
			t.Errorf("Logs = %v, want ErrNoUpload", err)
		}
		if err := <-uploaded; status.Code(err) != codes.PermissionDenied {
			t.Errorf("upload as another node: %v", err)
		}
	})
}

func TestLogs_Unavailable(t *testing.T) {
	t.Parallel()
	b := newBench(t, withReplicas(t, 1), nil)
	if _, err := b.d.Logs(t.Context(), "r9", nil); !errors.Is(err, ErrNoReplica) {
		t.Errorf("unknown replica: %v", err)
	}
	if _, err := b.d.Logs(t.Context(), "r1", nil); !errors.Is(err, ErrNoSession) {
		t.Errorf("node without a session: %v", err)
	}
	if got := len(b.d.logs.streams); got != 0 {
		t.Errorf("%d streams left behind", got)
	}
}

func TestLogs_AgentThatNeverAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, withReplicas(t, 1), nil)
		b.agent("n1")
		began := time.Now()
		if _, err := b.d.Logs(t.Context(), "r1", nil); !errors.Is(err, ErrNoUpload) {
			t.Errorf("Logs = %v, want ErrNoUpload", err)
		}
		if took := time.Since(began); took != uploadTimeout {
			t.Errorf("gave up after %v, want %v", took, uploadTimeout)
		}
	})
}

func TestLogs_AreBounded(t *testing.T) {
	t.Parallel()
	l := newLogs()
	for range maxLogStreams {
		if _, err := l.open(&runwayv1.Replica{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.open(&runwayv1.Replica{}); !errors.Is(err, ErrTooManyLogs) {
		t.Errorf("open = %v, want ErrTooManyLogs", err)
	}
}

func TestLogs_ReaderThatLeavesEndsTheUpload(t *testing.T) {
	t.Parallel()
	b := newBench(t, withReplicas(t, 1), nil)
	a := b.agent("n1")
	ended := make(chan error, 1)
	go func() {
		var request *runwayv1.OpenLogs
		for request == nil {
			message, err := a.stream.Recv()
			if err != nil {
				ended <- err
				return
			}
			request = message.GetOpenLogs()
		}
		upload, err := runwayv1.NewAgentSessionClient(b.conn).UploadLogs(b.as(runwayv1.Role_ROLE_NODE, "n1"))
		if err == nil {
			err = upload.Send(&runwayv1.LogUpload{Stream: request.GetStream()})
		}
		if err == nil { // a replica that is followed and says nothing
			err = upload.RecvMsg(&runwayv1.LogUploadSummary{})
		}
		ended <- err
	}()
	ctx, cancel := context.WithCancel(t.Context())
	stream, err := b.d.Logs(ctx, "r1", &runwayv1.LogOptions{Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	for err == nil {
		_, err = stream.Next(ctx)
	}
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Next = %v", err)
	}
	stream.Close()
	stream.Close()
	if err := <-ended; err != nil {
		t.Errorf("upload ended with %v", err)
	}
}
