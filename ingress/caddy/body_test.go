package caddy

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// However much was read before, the body is whole after a rewind, or rewind says
// that it cannot be.
func TestRequestBody_IsWholeAfterARewind(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 3*keptBytes).Draw(t, "size")
		content := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
		b := newBody(bytes.NewReader(content), rapid.SampledFrom([]int64{-1, int64(size)}).Draw(t, "length"))
		for range rapid.IntRange(0, 3).Draw(t, "attempts") {
			part := make([]byte, rapid.IntRange(1, size).Draw(t, "read"))
			n, err := io.ReadFull(b, part)
			if err != nil || !bytes.Equal(part, content[:n]) {
				t.Fatalf("read %d of %d bytes: %v", n, size, err)
			}
			if again := b.rewind(); again != (b.read <= keptBytes) {
				t.Fatalf("rewind after %d bytes = %v", b.read, again)
			} else if !again {
				return
			}
		}
		all, err := io.ReadAll(b)
		if err != nil || !bytes.Equal(all, content) || !b.ended.Load() {
			t.Fatalf("%d of %d bytes, %v, ended %v", len(all), size, err, b.ended.Load())
		}
	})
}

func newBody(from io.Reader, length int64) *requestBody {
	return watchBody(&http.Request{Body: io.NopCloser(from), ContentLength: length})
}

func TestRequestBody_LimitCountsEachByteOnce(t *testing.T) {
	t.Parallel()
	b := newBody(iotest.OneByteReader(strings.NewReader("12345678901")), -1)
	b.limit(10)
	if _, err := io.CopyN(io.Discard, b, 8); err != nil {
		t.Fatal(err)
	}
	if !b.rewind() {
		t.Fatal("8 bytes cannot be read again")
	}
	b.limit(10)
	if n, err := io.Copy(io.Discard, b); n != 10 || !errors.Is(err, errBodyTooLarge) || !b.over.Load() {
		t.Errorf("read %d bytes: %v; want 10 and %v", n, err, errBodyTooLarge)
	}
}

// A connection that is given up must neither take bytes from the next one nor leave
// a Read behind that waits for the client.
func TestSending_EndsWithItsConnection(t *testing.T) {
	t.Parallel()
	r := resendable(&http.Request{Body: io.NopCloser(strings.NewReader("body"))}, newBody(strings.NewReader("body"), 4))
	if err := r.Body.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := r.Body.Read(make([]byte, 4)); n != 0 || !errors.Is(err, http.ErrBodyReadAfterClose) {
		t.Errorf("Read after Close = %d, %v", n, err)
	}
	next, err := r.GetBody()
	if err != nil {
		t.Fatal(err)
	}
	if all, err := io.ReadAll(next); err != nil || string(all) != "body" {
		t.Errorf("the next connection reads %q, %v", all, err)
	}

	reader, writer := io.Pipe()
	waiting := &sending{ReadCloser: reader}
	done := make(chan error, 1)
	go func() {
		_, err := waiting.Read(make([]byte, 4))
		done <- err
	}()
	waitFor(t, "reader", waiting.reading.Load)
	if err := waiting.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err == nil {
		t.Error("a Read goes on after Close")
	}
	_ = writer.Close()
}
