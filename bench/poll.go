package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

const (
	// pollEvery is the pause between two questions of a client that waits.
	pollEvery = time.Millisecond
	// answerLimit bounds one question.
	answerLimit = 2 * time.Second
)

// poller asks the ingress over HTTPS, each time on a new connection.
type poller struct {
	client *http.Client
	port   string
}

func newPoller(ingress string, ca []byte) *poller {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	_, port, _ := net.SplitHostPort(ingress)
	dialer := &net.Dialer{}
	return &poller{port: port, client: &http.Client{
		Timeout: answerLimit,
		Transport: &http.Transport{
			TLSClientConfig:   &tls.Config{RootCAs: roots},
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return dialer.DialContext(ctx, network, ingress)
			},
		},
	}}
}

// asking is a poller on its way. It asks nothing before begin is closed.
type asking struct {
	begin   chan struct{}
	once    sync.Once
	answers chan answer
	cancel  context.CancelFunc
}

// start prepares to ask a host.
func (p *poller) start(ctx context.Context, host string) *asking {
	ctx, cancel := context.WithCancel(ctx)
	a := &asking{begin: make(chan struct{}), answers: make(chan answer, 1), cancel: cancel}
	go func() {
		select {
		case <-a.begin:
		case <-ctx.Done():
		}
		a.answers <- p.first(ctx, host)
	}()
	return a
}

// when returns a look that begins to ask once a state is as described, or the
// deployment is over. A thousand handshakes a second would slow what is measured, so
// they begin when there is a process: no answer comes before, and one that is found
// late only makes the figure worse.
func (a *asking) when(is func(*runwayv1.WatchDeploymentResponse) bool) func(*runwayv1.WatchDeploymentResponse) {
	return func(state *runwayv1.WatchDeploymentResponse) {
		if is(state) {
			a.once.Do(func() { close(a.begin) })
		}
	}
}

// wait returns what came first: an answer, or the end of the context.
func (a *asking) wait() answer {
	a.once.Do(func() { close(a.begin) })
	return <-a.answers
}

func (a *asking) stop() { a.cancel() }

// answer is when the first 200 arrived, and how many questions it took.
type answer struct {
	at    time.Time
	asked int
	err   error
}

// first asks until there is a 200 or ctx ends.
func (p *poller) first(ctx context.Context, host string) answer {
	url := fmt.Sprintf("https://%s/", net.JoinHostPort(host, p.port))
	pause := time.NewTicker(pollEvery)
	defer pause.Stop()
	for asked := 1; ; asked++ {
		if p.ask(ctx, url) == http.StatusOK {
			return answer{at: time.Now(), asked: asked}
		}
		select {
		case <-ctx.Done():
			return answer{asked: asked, err: fmt.Errorf("wait for an answer of %s: %w", host, ctx.Err())}
		case <-pause.C:
		}
	}
}

// ask returns the status, 0 when there was no answer.
func (p *poller) ask(ctx context.Context, url string) int {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0
	}
	answer, err := p.client.Do(request)
	if err != nil {
		return 0
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return 0
	}
	return answer.StatusCode
}
