package verify

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"google.golang.org/protobuf/proto"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// Asker asks agents which replicas their node ports lead to.
type Asker interface {
	// Ask returns the replica of each port, as the agent at the address knows it now.
	Ask(ctx context.Context, address string) (map[uint32]string, error)
	// Close frees what is kept between questions.
	Close()
}

const (
	// maxAnswer is far above 10,000 ports.
	maxAnswer = 4 << 20
	// questionIdle keeps a connection for the questions of a busy moment.
	questionIdle = 10 * time.Second
)

// errAnswer means that an agent answered with something else.
var errAnswer = errors.New("unexpected answer")

// peers asks over mutual TLS.
type peers struct{ client *http.Client }

// Over returns an Asker that uses the TLS configuration.
func Over(config *tls.Config) Asker {
	return &peers{client: &http.Client{
		Transport: &http.Transport{
			// Without a bound of its own a connection to a machine that is gone would
			// be waited for long after its question.
			DialContext:         (&net.Dialer{Timeout: budget}).DialContext,
			TLSHandshakeTimeout: budget,
			TLSClientConfig:     config,
			IdleConnTimeout:     questionIdle,
			MaxConnsPerHost:     1,
			DisableCompression:  true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Asker

func (p *peers) Close() { p.client.CloseIdleConnections() }

func (p *peers) Ask(ctx context.Context, address string) (map[uint32]string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+address+"/holders", http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("ask agent at %q: %w", address, err)
	}
	response, err := p.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask agent at %q: %w", address, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("read answer of agent at %q: %w", address, err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("ask agent at %q: %s: %w", address, response.Status, errAnswer)
	}
	holders := new(runwayv1.PortHolders)
	if err := proto.Unmarshal(text, holders); err != nil {
		return nil, fmt.Errorf("read answer of agent at %q: %w", address, err)
	}
	return holders.GetReplicas(), nil
}
