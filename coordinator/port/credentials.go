package port

import (
	"context"
	"crypto/tls"
	"errors"
	"net"

	"google.golang.org/grpc/credentials"
)

// Credentials tells a gRPC server who is at the other end of connections that a
// Port has shaken hands with already. It is of no use to a client.
func Credentials() credentials.TransportCredentials { return done{} }

type done struct{}

var errServerOnly = errors.New("these credentials are for servers only")

// credentials.TransportCredentials

func (done) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	secured, ok := conn.(*tls.Conn)
	if !ok {
		return nil, nil, errors.New("the connection did not come through TLS")
	}
	return conn, credentials.TLSInfo{
		State:          secured.ConnectionState(),
		CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity},
	}, nil
}

func (done) ClientHandshake(context.Context, string, net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errServerOnly
}

func (done) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "tls"}
}

func (d done) Clone() credentials.TransportCredentials { return d }

func (done) OverrideServerName(string) error { return errServerOnly }
