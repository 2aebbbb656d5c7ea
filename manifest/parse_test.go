package manifest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/runway-platform/runway/proto/defaults"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"
)

const everyField = `# A manifest with every field that is built.
apiVersion: runway/v1
kind: RunwayService
metadata:
  name: ai_gateway
  owner_email_handle: jane
  department: Engineering
  department_group: 42
  product_category: AI
  owner: ai_assisted
  labels: {gitlab.com/tier: "2"}
spec:
  image: registry.example.com/web:1
  command: [/web, --port, "9000"]
  environment: {GREETING: hello}
  container_port: 9000
  request_timeout: 90
  resources:
    limits: {cpu: 2, memory: "2G"}
    requests: {cpu: 300m, ephemeral-storage: 1Gi}
  scalability:
    min_instances: 2
    max_instances: 7
  startup_probe: &probe
    path: /ready
    initial_delay_seconds: 10
    timeout_seconds: 5
    period_seconds: 17
    failure_threshold: 24
  liveness_probe: *probe
  readiness_probe: *probe
  load_balancing:
    external_load_balancer:
      enabled: false
      backend_protocol: HTTPS
    internal_load_balancer:
      enabled: true
`

func TestParse_ReadsEveryField(t *testing.T) {
	t.Parallel()
	m := mustParse(t, everyField)
	probe := &runwayv1.Probe{
		Kind: runwayv1.ProbeKind_PROBE_KIND_HTTP, Path: "/ready", Declared: true, FailureThreshold: 24,
		InitialDelay: durationpb.New(10 * time.Second), Timeout: durationpb.New(5 * time.Second), Period: durationpb.New(17 * time.Second),
	}
	want := &runwayv1.RevisionSpec{
		Image:         &runwayv1.Image{Reference: "registry.example.com/web:1"},
		ContainerPort: 9000, Protocol: runwayv1.Protocol_PROTOCOL_HTTP1,
		Resources: &runwayv1.Resources{
			CpuLimitMilli: 2000, CpuRequestMilli: 300, MemoryBytes: 2_000_000_000, DiskBytes: 1 << 30, Pids: defaults.Pids,
		},
		Scale:        &runwayv1.ScalePolicy{Min: 2, Max: 7},
		StartupProbe: probe, LivenessProbe: probe, ReadinessProbe: probe,
		Internal: true,
		Command:  []string{"/web", "--port", "9000"}, Env: map[string]string{"GREETING": "hello"},
		RequestTimeout: durationpb.New(90 * time.Second), TerminationGrace: durationpb.New(30 * time.Second), DrainTimeout: durationpb.New(30 * time.Second),
		Labels: map[string]string{
			"owner_email_handle": "jane", "department": "Engineering", "department_group": "42", "product_category": "AI", "owner": "ai_assisted",
			"gitlab.com/tier": "2",
		},
	}
	if diff := cmp.Diff(want, m.Spec, protocmp.Transform()); diff != "" {
		t.Errorf("spec (-want +got):\n%s", diff)
	}
	if m.Name != "ai_gateway" || len(m.Warnings) != 0 {
		t.Errorf("name %q and warnings %q, want ai_gateway and none", m.Name, m.Warnings)
	}
}

func TestParse_TakesDefaults(t *testing.T) {
	t.Parallel()
	m := mustParse(t, "kind: RunwayService\nmetadata:\n  name: web\n")
	want := &runwayv1.RevisionSpec{
		Image: &runwayv1.Image{}, ContainerPort: 8080, Protocol: runwayv1.Protocol_PROTOCOL_HTTP1,
		Resources: &runwayv1.Resources{CpuLimitMilli: 1000, CpuRequestMilli: 100, MemoryBytes: 512 << 20, DiskBytes: defaults.DiskBytes, Pids: defaults.Pids},
		Scale:     &runwayv1.ScalePolicy{Min: 1, Max: 100},
		StartupProbe: &runwayv1.Probe{
			Kind: runwayv1.ProbeKind_PROBE_KIND_HTTP, Path: "/", FailureThreshold: 3,
			InitialDelay: durationpb.New(0), Timeout: durationpb.New(5 * time.Second), Period: durationpb.New(2 * time.Second),
		},
		Public: true, Internal: true,
		RequestTimeout: durationpb.New(5 * time.Minute), TerminationGrace: durationpb.New(30 * time.Second), DrainTimeout: durationpb.New(30 * time.Second),
	}
	if diff := cmp.Diff(want, m.Spec, protocmp.Transform()); diff != "" {
		t.Errorf("spec (-want +got):\n%s", diff)
	}
	warnings := []string{
		"min_instances 0 is kept at 1: services cannot wake from zero yet",
		"no startup_probe: a replica is ready when GET / answers below 500",
	}
	if diff := cmp.Diff(warnings, m.Warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

func TestParse_ChoosesProbes(t *testing.T) {
	t.Parallel()
	grpc := "  load_balancing: {external_load_balancer: {backend_protocol: grpc}}\n"
	none := "  load_balancing: {external_load_balancer: {enabled: false}, internal_load_balancer: {enabled: false}}\n"
	for _, test := range []struct {
		name, spec string
		startup    string
		port       uint32
	}{
		{"nothing declared", "", "PROBE_KIND_HTTP / false", 8080},
		{"grpc back end", grpc, "PROBE_KIND_GRPC  false", 8080},
		{"http2 back end", strings.Replace(grpc, "grpc", "HTTP2", 1), "PROBE_KIND_GRPC  false", 8080},
		{"path", "  startup_probe: {path: /up}\n", "PROBE_KIND_HTTP /up true", 8080},
		{"path on grpc back end", grpc + "  startup_probe: {path: /up}\n", "PROBE_KIND_HTTP /up true", 8080},
		{"grpc service", "  startup_probe: {grpc_service: a.B}\n", "PROBE_KIND_GRPC  true", 8080},
		{"tcp on request", "  startup_probe: {}\n", "PROBE_KIND_TCP  true", 8080},
		{"empty block", "  startup_probe:\n", "PROBE_KIND_TCP  true", 8080},
		{"declared without path on grpc back end", grpc + "  startup_probe: {period_seconds: 3}\n", "PROBE_KIND_GRPC  true", 8080},
		{"worker", none, "none", 0},
		{"worker with a probe", none + "  startup_probe: {path: /up}\n", "PROBE_KIND_HTTP /up true", 8080},
		{"worker with an empty liveness probe", none + "  liveness_probe: {}\n", "PROBE_KIND_TCP  true", 8080},
		{"worker with a liveness probe", none + "  liveness_probe: {path: /alive}\n", "PROBE_KIND_HTTP /alive true", 8080},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			spec := mustParse(t, head+"spec:\n"+test.spec).Spec
			got := "none"
			if p := spec.GetStartupProbe(); p != nil {
				got = fmt.Sprintf("%s %s %t", p.GetKind(), p.GetPath(), p.GetDeclared())
			}
			if got != test.startup || spec.GetContainerPort() != test.port {
				t.Errorf("got probe %q and port %d, want %q and %d", got, spec.GetContainerPort(), test.startup, test.port)
			}
		})
	}
}

// With both, readiness_probe is asked; the question of startup_probe is not lost in
// silence.
func TestParse_SaysWhichProbeIsNotAsked(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, probes, warning string }{
		{"other path", "startup_probe: {path: /up}, readiness_probe: {path: /ready}", "spec.startup_probe: /up is not asked, since readiness_probe says when a replica is ready; it only says how long the start may take"},
		{"same path", "startup_probe: {path: /ready}, readiness_probe: {path: /ready}", ""},
		{"readiness alone", "readiness_probe: {path: /ready}", ""},
	} {
		m := mustParse(t, head+"spec: {scalability: {min_instances: 1}, "+test.probes+"}\n")
		if got := strings.Join(m.Warnings, "\n"); got != test.warning || m.Spec.GetReadinessProbe().GetPath() != "/ready" {
			t.Errorf("%s: warnings %q and probe %v, want %q", test.name, got, m.Spec.GetReadinessProbe(), test.warning)
		}
	}
}

func mustParse(t *testing.T, text string) *Manifest {
	t.Helper()
	m, err := Parse("runway.yml", []byte(text))
	if err != nil {
		t.Fatalf("parse:\n%s\n%v", text, err)
	}
	return m
}

// The defaults in the table of fields are those that are taken.
func TestFields_NameTheirDefaults(t *testing.T) {
	t.Parallel()
	absent := mustParse(t, head)
	for _, f := range Fields() {
		if !f.Built() || f.rule.in&^service != 0 || f.rule.shape == block || f.Default == "" || strings.Contains(f.Default, " ") || !strings.HasPrefix(f.Path, "spec.") || strings.Contains(f.Path, "_probe.") {
			continue
		}
		said := mustParse(t, head+nested(f.Path, f.Default))
		if diff := cmp.Diff(absent.Spec, said.Spec, protocmp.Transform()); diff != "" {
			t.Errorf("%s: default %s differs from an absent field:\n%s", f.Path, f.Default, diff)
		}
	}
}

func TestReference_IsUpToDate(t *testing.T) {
	golden(t, "FIELDS.md", Reference())
}
