package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"
)

// kind is a way to connect.
type kind struct {
	name      string
	encrypted bool
	// keep uses a connection for as many requests as it lasts.
	keep bool
	// stream has the clients hold a stream instead of asking; nil for none.
	stream *reading
	// slow has each client always wait for the answer to a request that nobody may repeat.
	slow bool
}

var kinds = []kind{
	{name: "plain keep-alive", keep: true},
	{name: "plain new"},
	{name: "tls keep-alive", encrypted: true, keep: true},
	{name: "tls new", encrypted: true},
}

// streamKinds are there when -streams says so.
var streamKinds = []kind{
	{name: "tls events", encrypted: true, stream: events},
	{name: "tls websocket", encrypted: true, stream: webSocket},
}

// slowKinds are there when -slow says so.
var slowKinds = []kind{
	{name: "tls slow keep-alive", encrypted: true, keep: true, slow: true},
	{name: "plain slow new", slow: true},
}

// target is where clients of a kind connect to.
type target struct {
	address, host string
	tls           *tls.Config // nil for plain
	keep          bool
	timeout       time.Duration
	// name is what an answer begins with.
	name string
}

func (k kind) target(o options, address string, roots *x509.CertPool) target {
	t := target{address: at(address, o.plainPort), host: o.plainName, keep: k.keep, timeout: o.timeout, name: o.name}
	if k.encrypted {
		t.address, t.host = at(address, o.tlsPort), o.tlsName
		t.tls = &tls.Config{RootCAs: roots, ServerName: o.tlsName, NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12}
	}
	return t
}

func at(address string, port int) string { return net.JoinHostPort(address, strconv.Itoa(port)) }

func readCA(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read CA: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read CA %q: no certificate in it", file)
	}
	return roots, nil
}
