// Package probe asks a replica, from outside its image, whether it is well: over HTTP, TCP or the gRPC health protocol. It
// decides when enough answers make the replica ready, unready or failing, and finds out which ports a process listens on. It
// restarts nothing and knows nothing of assignments.
package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Kind is the protocol of a probe.
type Kind string

// The kinds of probe.
const (
	HTTP Kind = "http"
	TCP  Kind = "tcp"
	GRPC Kind = "grpc"
)

// AnswerBytes is how much of an answer is read and kept: enough to recognise an error page, too little to hurt.
const AnswerBytes = 512

// Spec is one probe.
type Spec struct {
	Kind Kind
	// Path of an HTTP probe; empty means /.
	Path string
	// Service asked of a gRPC health server; empty means the server as a whole.
	Service string
	// H2C sends HTTP probes as HTTP/2 without TLS.
	H2C bool
	// Declared is true for a probe that the user wrote: 200-399 passes. Otherwise any answer below 500 does.
	Declared bool
	// InitialDelay passes before the first question.
	InitialDelay time.Duration
	// Timeout bounds one question.
	Timeout time.Duration
	// Period is the time between questions once the replica is ready.
	Period time.Duration
	// Steady asks once each period from the first question on: FailureThreshold is then a length of time. Without it a replica
	// that is not ready yet is asked at the pace of its start.
	Steady bool
	// FailureThreshold is how many failures in a row make a ready replica unready, or a live one failing.
	FailureThreshold int
}

// Result is the transcript of one question.
type Result struct {
	At   time.Time
	Took time.Duration
	// Asked is the question, such as "GET http://10.1.2.3:8080/healthz".
	Asked  string
	Passed bool
	// Status is the answer in a few words, empty when there was none.
	Status string
	// Answer is the beginning of the body, at most AnswerBytes.
	Answer string
	// Err says why there is no answer, empty otherwise.
	Err string
	// TimedOut is true when the replica did not answer within the timeout.
	TimedOut bool
}

// Lines returns the transcript as evidence: the question with what came of it, then the answer, if there was one.
func (r Result) Lines() []string {
	outcome := r.Status
	if r.Err != "" {
		outcome = r.Err
	}
	lines := []string{fmt.Sprintf("%s %s: %s (%s)", r.At.UTC().Format(time.RFC3339Nano), r.Asked, outcome, r.Took.Round(time.Microsecond))}
	if r.Answer != "" {
		lines = append(lines, "answer: "+strconv.Quote(r.Answer))
	}
	return lines
}

// Same reports whether two answers tell the same, whenever they were given.
func (r Result) Same(o Result) bool {
	return r.Passed == o.Passed && r.Status == o.Status && r.Answer == o.Answer && r.Err == o.Err
}

// Dialer opens a connection to a replica.
type Dialer func(ctx context.Context, network, address string) (net.Conn, error)

// Prober asks replicas. It may be used by many goroutines.
type Prober struct {
	dial  Dialer
	http1 *http.Transport
	h2c   *http.Transport
}

// New returns a prober that reaches replicas through dial.
func New(dial Dialer) *Prober {
	return &Prober{dial: dial, http1: newTransport(dial, false), h2c: newTransport(dial, true)}
}

// Once asks address one time and returns within the timeout of spec.
func (p *Prober) Once(ctx context.Context, spec Spec, address string) Result {
	ctx, cancel := context.WithTimeout(ctx, spec.Timeout)
	defer cancel()
	result := Result{At: time.Now()}
	err := p.ask(ctx, spec, address, &result)
	result.Took = time.Since(result.At)
	if err != nil {
		result.Passed = false
		result.TimedOut = timedOut(ctx, err)
		result.Err = describe(err, spec.Timeout, result.TimedOut)
	}
	return result
}

func (p *Prober) ask(ctx context.Context, spec Spec, address string, result *Result) error {
	switch spec.Kind {
	case TCP:
		return p.askTCP(ctx, address, result)
	case GRPC:
		return p.askGRPC(ctx, spec, address, result)
	case HTTP:
		return p.askHTTP(ctx, spec, address, result)
	}
	result.Asked = address
	return fmt.Errorf("ask replica: unknown probe kind %q", spec.Kind)
}

func timedOut(ctx context.Context, err error) bool {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return true
	}
	var network net.Error
	return errors.As(err, &network) && network.Timeout()
}

func describe(err error, timeout time.Duration, late bool) string {
	if late {
		return fmt.Sprintf("no answer within %s", timeout)
	}
	return err.Error()
}

// printable keeps evidence readable on a terminal: an answer is the replica's own text and may hold anything.
func printable(text []byte) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || unicode.IsPrint(r) {
			return r
		}
		return '.'
	}, strings.ToValidUTF8(string(text), "."))
}
