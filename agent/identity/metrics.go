package identity

import "github.com/prometheus/client_golang/prometheus"

func newAnswers() *prometheus.CounterVec {
	answers := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "runway_agent_identity_answers_total",
		Help: "Questions of ingresses which replica a node port leads to, by result.",
	}, []string{"result"})
	for _, result := range []string{"answered", "failed"} {
		answers.WithLabelValues(result)
	}
	return answers
}
