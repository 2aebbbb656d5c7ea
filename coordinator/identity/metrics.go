package identity

import (
	"crypto/x509"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics shows when certificates expire, so that nobody is surprised by one.
type Metrics struct {
	expires *prometheus.GaugeVec
}

// NewMetrics registers the metrics of this package.
func NewMetrics(registerer prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{expires: prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "runway_coordinator_certificate_expiry_timestamp_seconds",
		Help: "When a certificate of this coordinator expires, in seconds since 1970.",
	}, []string{"certificate"})}
	if err := registerer.Register(m.expires); err != nil {
		return nil, fmt.Errorf("register identity metrics: %w", err)
	}
	return m, nil
}

// Observe records the expiry of a certificate under a constant name such as
// "authority" or "coordinator".
func (m *Metrics) Observe(name string, certificate *x509.Certificate) {
	m.expires.WithLabelValues(name).Set(float64(certificate.NotAfter.Unix()))
}
