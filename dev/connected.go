package dev

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

const (
	// askTimeout bounds one question to a child's own port.
	askTimeout = time.Second
	// maxAnswer is more than all metrics of an agent.
	maxAnswer = 4 << 20
)

// connected says which agent or ingress has no session with the coordinator yet.
func (c Config) connected(ctx context.Context) error {
	for i := 1; i <= c.Nodes; i++ {
		if err := says(ctx, offset(c.Metrics, i), "/metrics", "runway_agent_session_connected 1"); err != nil {
			return fmt.Errorf("%s is not connected: %w", nodeName(i), err)
		}
	}
	for i := 1; i <= c.Ingresses; i++ {
		if err := says(ctx, offset(c.Metrics, c.Nodes+i), "/readyz", ""); err != nil {
			return fmt.Errorf("%s is not ready: %w", ingressName(i), err)
		}
	}
	return nil
}

// says returns an error unless a page is there and has the line; any line will do
// when none is named.
func says(ctx context.Context, address, path, line string) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK || !strings.Contains(string(body), line) {
		return fmt.Errorf("%s%s answered %s without %q", address, path, response.Status, line)
	}
	return nil
}
