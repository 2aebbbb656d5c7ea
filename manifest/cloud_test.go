package manifest

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
	"google.golang.org/protobuf/testing/protocmp"
)

const cloudManifest = head + `spec:
  regions: [us-east1, europe-west1]
  execution_environment: EXECUTION_ENVIRONMENT_GEN2
  request_based_billing: true
  resources:
    startup_cpu_boost: false
    limits: {ephemeral-storage: 256Mi}
    requests: {memory: 128Mi}
  network_policies: {cloudflare: false}
  vpc_access: {enabled: true, egress: ALL_TRAFFIC}
  deployment: {strategy: rolling}
`

// What names a public cloud is read, changes nothing, and each field says what
// happens instead.
func TestParse_SaysWhatHappensInsteadOfAPublicCloud(t *testing.T) {
	t.Parallel()
	got, plain := mustParse(t, cloudManifest), mustParse(t, head)
	if diff := cmp.Diff(plain.Spec, got.Spec, protocmp.Transform()); diff != "" {
		t.Errorf("spec differs from that without the fields:\n%s", diff)
	}
	want := append([]string{
		"spec.regions: replicas run in the first region of the cluster; names of a public cloud mean nothing to it",
		"spec.execution_environment: replicas run in containers that share the kernel of their node",
		"spec.request_based_billing: nothing is billed, and replicas may use their processor limit between requests too",
		"spec.resources.limits.ephemeral-storage: it is reserved, and a replica that writes more is not stopped",
		"spec.resources.requests.memory: spec.resources.limits.memory is reserved in full",
		"spec.vpc_access.enabled: replicas reach what their node reaches, private networks too",
		"spec.vpc_access.egress: all traffic leaves by the routes of the node",
	}, plain.Warnings...)
	if diff := cmp.Diff(want, got.Warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

// Every field without an effect is in the manifest above, so that none is silent.
func TestFields_WithoutAnEffectWarn(t *testing.T) {
	t.Parallel()
	warnings := strings.Join(mustParse(t, cloudManifest).Warnings, "\n")
	for _, f := range Fields() {
		if f.Warns() && f.rule.in == 0 && f.Path != "apiVersion" && !strings.Contains(warnings, f.Path+": "+f.rule.happens) {
			t.Errorf("%s is read without a warning", f.Path)
		}
	}
}

// A value that asks for what happens anyway needs no warning.
func TestParse_IsSilentAboutValuesThatHold(t *testing.T) {
	t.Parallel()
	m := mustParse(t, head+"spec:\n  request_based_billing: false\n")
	if diff := cmp.Diff(mustParse(t, head).Warnings, m.Warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

// The one port of a replica speaks what its only endpoint asks for, or what both do.
func TestParse_ChoosesTheProtocol(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, balancing string
		want            runwayv1.Protocol
	}{
		{"public alone says", "{external_load_balancer: {backend_protocol: HTTP2}}", runwayv1.Protocol_PROTOCOL_H2C},
		{"only internal", "{external_load_balancer: {enabled: false}, internal_load_balancer: {backend_protocol: grpc}}", runwayv1.Protocol_PROTOCOL_H2C},
		{"only internal, public one says", "{external_load_balancer: {enabled: false, backend_protocol: grpc}}", runwayv1.Protocol_PROTOCOL_H2C},
		{"only public", "{external_load_balancer: {backend_protocol: HTTPS}, internal_load_balancer: {enabled: false, backend_protocol: grpc}}", runwayv1.Protocol_PROTOCOL_HTTP1},
		{"the same for both", "{external_load_balancer: {backend_protocol: HTTP2}, internal_load_balancer: {backend_protocol: grpc}}", runwayv1.Protocol_PROTOCOL_H2C},
	} {
		if got := mustParse(t, head+"spec:\n  load_balancing: "+test.balancing+"\n").Spec.GetProtocol(); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}
