package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// headerBytes bounds the header of an answer; the default of net/http is 1 MB per replica and question.
const headerBytes = 16 << 10

// newTransport keeps no connection between questions: a kept one would hide a process that accepts no new ones.
func newTransport(dial Dialer, h2c bool) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!h2c)
	protocols.SetUnencryptedHTTP2(h2c)
	return &http.Transport{
		DialContext:            dial,
		Protocols:              protocols,
		DisableKeepAlives:      !h2c,
		DisableCompression:     true,
		MaxResponseHeaderBytes: headerBytes,
	}
}

func (p *Prober) askHTTP(ctx context.Context, spec Spec, address string, result *Result) error {
	target := probeURL(spec, address)
	result.Asked = "GET " + target
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	request.Header.Set("User-Agent", "runway-probe")
	answer, err := p.roundTrip(spec, request)
	if err != nil {
		return shorten(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, AnswerBytes))
	result.Status = answer.Status
	result.Answer = printable(body)
	result.Passed = passes(spec, answer.StatusCode)
	if err != nil && !result.Passed {
		return nil // the status alone already tells the failure
	}
	return err
}

// roundTrip calls the transport itself, so that no redirect is ever followed to somewhere else.
func (p *Prober) roundTrip(spec Spec, request *http.Request) (*http.Response, error) {
	if !spec.H2C {
		return p.http1.RoundTrip(request)
	}
	defer p.h2c.CloseIdleConnections()
	return p.h2c.RoundTrip(request)
}

func probeURL(spec Spec, address string) string {
	path := spec.Path
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	return "http://" + address + path
}

func passes(spec Spec, status int) bool {
	if spec.Declared {
		return status >= 200 && status <= 399
	}
	return status < 500
}

// shorten drops the method and address that net/http repeats: they are in the transcript already.
func shorten(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err
	}
	return err
}
