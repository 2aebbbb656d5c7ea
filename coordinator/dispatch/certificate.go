package dispatch

import (
	"fmt"
	"slices"
	"time"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// maxNames bounds the names in one certificate.
const maxNames = 100

// sign signs a request of an ingress for names that are routed now, and for no
// others.
func (d *Dispatcher) sign(request *runwayv1.SignCertificateRequest) ([]byte, error) {
	if _, err := d.leadership(); err != nil {
		return nil, err
	}
	if len(request.GetNames()) == 0 || len(request.GetNames()) > maxNames {
		return nil, fmt.Errorf("sign certificate for %d names: %w", len(request.GetNames()), errProtocol)
	}
	set, _ := d.config.Routes.Current()
	if set == nil {
		return nil, fmt.Errorf("sign certificate: %w", errNoRoutes)
	}
	for _, name := range request.GetNames() {
		if !routed(set, name) {
			return nil, fmt.Errorf("sign certificate for %q: %w", cut(name), errForbidden)
		}
	}
	authority := d.config.Authority()
	if authority == nil {
		return nil, fmt.Errorf("sign certificate: %w", errNoAuthority)
	}
	chain, err := authority.SignNames(request.GetCsr(), request.GetNames(), time.Now())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errProtocol, err)
	}
	return chain, nil
}

func routed(set *runwayv1.RouteSet, name string) bool {
	return slices.ContainsFunc(set.GetRoutes(), func(route *runwayv1.Route) bool {
		return slices.Contains(route.GetHosts(), name) || slices.Contains(route.GetInternalHosts(), name)
	})
}
