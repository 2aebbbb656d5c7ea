package ingress

import (
	"context"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// signer has certificate requests signed by the coordinator.
type signer struct {
	coordinator runwayv1.IngressSessionClient
}

// Sign implements certs.Signer.
func (s signer) Sign(ctx context.Context, csrDER []byte, names []string) ([]byte, error) {
	res, err := s.coordinator.SignCertificate(ctx, &runwayv1.SignCertificateRequest{Csr: csrDER, Names: names})
	if err != nil {
		return nil, err
	}
	return res.GetChain(), nil
}
