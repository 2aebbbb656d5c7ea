package caddy

import (
	"net/http"
	"strconv"
	"strings"
)

// gRPC statuses that have another class than "the client's fault".
const (
	grpcOK               = 0
	grpcCancelled        = 1
	grpcUnknown          = 2
	grpcDeadlineExceeded = 4
	grpcExhausted        = 8
	grpcUnimplemented    = 12
	grpcInternal         = 13
	grpcUnavailable      = 14
	grpcDataLoss         = 15
)

// grpcOf returns the gRPC code for an HTTP status of ours.
func grpcOf(status int) int {
	switch status {
	case http.StatusGatewayTimeout:
		return grpcDeadlineExceeded
	case http.StatusRequestEntityTooLarge:
		return grpcExhausted
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return grpcUnimplemented
	default:
		return grpcUnavailable
	}
}

// countedGRPC returns the HTTP status that a gRPC answer counts with: its own says
// 200 whatever happened. What OpenTelemetry counts as an error of the server is one
// here, too; an answer without a status broke off. gRPC-Web has its status in the
// body, which is not read.
func countedGRPC(status int, h http.Header) int {
	if status != http.StatusOK {
		return status
	}
	text := first(h, "Grpc-Status", http.TrailerPrefix+"Grpc-Status")
	if text == "" && strings.HasPrefix(h.Get("Content-Type"), "application/grpc-web") {
		return status
	}
	code, err := strconv.Atoi(text)
	if err != nil {
		return http.StatusBadGateway
	}
	switch code {
	case grpcOK:
		return status
	case grpcCancelled:
		return statusClientGone
	case grpcUnknown, grpcDeadlineExceeded, grpcUnimplemented, grpcInternal, grpcUnavailable, grpcDataLoss:
		return http.StatusBadGateway
	default:
		return http.StatusBadRequest
	}
}

func first(h http.Header, keys ...string) string {
	for _, key := range keys {
		if values := h[key]; len(values) > 0 {
			return values[0]
		}
	}
	return ""
}
