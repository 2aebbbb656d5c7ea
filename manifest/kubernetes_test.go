package manifest

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/runway-platform/runway/proto/defaults"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"
)

const kubernetesValues = `apiVersion: runway/v1
kind: RunwayKubernetesService
metadata:
  name: glgo
spec:
  image: registry.example.com/glgo:{{ .AppVersion }}
  command: [/glgo, serve]
  environment:
    LOG_LEVEL: info
    WORKERS: "4"
  container_port: 9000
  protocol: grpc
  scalability: {min_instances: 2}
  resources:
    requests: {cpu: 250m, memory: 512Mi, ephemeral-storage: 1Gi}
    limits: {cpu: 1, memory: 2Gi}
  startup_probe: {period_seconds: 5, failure_threshold: 24}
  liveness_probe: {period_seconds: 5}
  load_balancing:
    cloudflare: {enabled: true}
    external_load_balancer: {enabled: false}
`

const kubernetesOverlay = `apiVersion: runway/v1
kind: RunwayKubernetesDeployment
glgo:
  metadata:
    labels:
      gitlab.com/department: eng
      gitlab.com/department-group: eng-infra
      team: foundations
  serviceMixins:
    - runway-eks.service-mixin
  spec:
    environment:
      LOG_LEVEL: debug
    scalability:
      max_instances: 7
`

// The values and the overlay of an environment become one workload like any other.
func TestLoad_TranslatesKubernetesKinds(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{
		".runway/glgo/default-values.yaml": kubernetesValues, ".runway/glgo/eks-service-staging.yaml": kubernetesOverlay,
		".runway/glgo/eks-service-production.yaml": strings.Replace(kubernetesOverlay, "debug", "warn", 1),
	})
	m, err := Load(Source{Path: dir, Service: "glgo", Environment: "staging"})
	if err != nil {
		t.Fatal(err)
	}
	grpc := &runwayv1.Probe{
		Kind: runwayv1.ProbeKind_PROBE_KIND_GRPC, Declared: true, FailureThreshold: 3,
		InitialDelay: durationpb.New(0), Timeout: durationpb.New(time.Second), Period: durationpb.New(5 * time.Second),
	}
	startupProbe := &runwayv1.Probe{
		Kind: runwayv1.ProbeKind_PROBE_KIND_GRPC, Declared: true, FailureThreshold: 24,
		InitialDelay: durationpb.New(0), Timeout: durationpb.New(time.Second), Period: durationpb.New(5 * time.Second),
	}
	want := &runwayv1.RevisionSpec{
		Image: &runwayv1.Image{}, ContainerPort: 9000, Protocol: runwayv1.Protocol_PROTOCOL_H2C, Command: []string{"/glgo", "serve"},
		Resources:    &runwayv1.Resources{CpuLimitMilli: 1000, CpuRequestMilli: 250, MemoryBytes: 2 << 30, DiskBytes: 1 << 30, Pids: defaults.Pids},
		Scale:        &runwayv1.ScalePolicy{Min: 2, Max: 7},
		StartupProbe: startupProbe, LivenessProbe: grpc, Internal: true,
		Env:            map[string]string{"LOG_LEVEL": "debug", "WORKERS": "4"},
		Labels:         map[string]string{"department": "eng", "department_group": "eng-infra", "team": "foundations"},
		RequestTimeout: durationpb.New(5 * time.Minute), TerminationGrace: durationpb.New(30 * time.Second), DrainTimeout: durationpb.New(30 * time.Second),
	}
	if diff := cmp.Diff(want, m.Spec, protocmp.Transform()); diff != "" {
		t.Errorf("spec (-want +got):\n%s", diff)
	}
	warnings := []string{
		"spec.resources.requests.memory: spec.resources.limits.memory is reserved in full",
		"spec.load_balancing.cloudflare.enabled: requests come straight to the ingresses of the cluster",
		"serviceMixins: replicas run on the nodes of this cluster, which need none",
		"spec.image registry.example.com/glgo:{{ .AppVersion }} is filled in by nobody: name the image with --image",
	}
	if diff := cmp.Diff(warnings, m.Warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	if m.Name != "glgo" || len(m.Files) != 2 {
		t.Errorf("name %q, files %v", m.Name, m.Files)
	}
}

// What a Kubernetes service leaves out has the defaults of its kind.
func TestParse_TakesKubernetesDefaults(t *testing.T) {
	t.Parallel()
	spec := mustParse(t, "kind: RunwayKubernetesService\nmetadata: {name: web}\n").Spec
	if s, r := spec.GetScale(), spec.GetResources(); s.GetMin() != 3 || s.GetMax() != 20 || r.GetMemoryBytes() != 1<<30 {
		t.Errorf("scale %v, resources %v; want 3 to 20 and 1 GiB", s, r)
	}
}

// Older shapes say the same.
func TestParse_ReadsOlderKubernetesShapes(t *testing.T) {
	t.Parallel()
	today := mustParse(t, "kind: RunwayKubernetesService\nmetadata: {name: web}\nspec: {container_port: 9000, scalability: {max_instances: 9}}\n")
	for _, old := range []string{
		"kind: RunwayGKEService\nmetadata: {name: web}\nspec: {container_port: 9000, scalability: {max_instances: 9}}\n",
		"kind: RunwayKubernetesService\nmetadata: {name: web}\nspec:\n  services:\n    app: {container_port: 9000, scalability: {max_instances: 9}}\n",
		"kind: RunwayKubernetesService\nmetadata: {name: web}\nspec:\n  services: {frontend: {container_port: 9000}}\n  scalability: {max_instances: 9}\n",
	} {
		if diff := cmp.Diff(today.Spec, mustParse(t, old).Spec, protocmp.Transform()); diff != "" {
			t.Errorf("%s differs from the shape of today:\n%s", old, diff)
		}
	}
	warned := mustParse(t, "kind: RunwayKubernetesService\nmetadata: {name: web}\nspec: {services: {app: {}}}\n").Warnings
	if !slices.Contains(warned, "spec.services.app is read as spec") {
		t.Errorf("warnings %q", warned)
	}
}

func TestLoad_FindsKubernetesFiles(t *testing.T) {
	t.Parallel()
	const values, eks, gke = ".runway/web/default-values.yaml", ".runway/web/eks-service-production.yaml", ".runway/web/gke-service-production.yml"
	for _, test := range []struct {
		name  string
		files []string
		path  string
		want  string
	}{
		{"overlay over values", []string{values, eks}, "", values + " " + eks},
		{"other cloud and ending", []string{values, gke}, "", values + " " + gke},
		{"values alone", []string{values}, "", values},
		{"other environment", []string{values, ".runway/web/eks-service-staging.yaml"}, "", values},
		{"a service manifest wins", []string{values, eks, ".runway/web/runway.yml"}, "", ".runway/web/runway.yml"},
		{"named overlay", []string{values, eks, gke}, gke, values + " " + gke},
		{"two clouds", []string{values, eks, gke}, "", "DIR/.runway/web: RW-8001 two manifests of one environment: DIR/" + eks + ", DIR/" + gke + "; name one with -f FILE"},
		{"no values", []string{eks}, "", "DIR/" + eks + ": RW-8001 read file: there is no default-values.yaml beside it; write the values that hold for every environment there"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			files := map[string]string{}
			for _, f := range test.files {
				files[f] = "kind: RunwayKubernetesDeployment\nweb:\n  spec: {container_port: 81}\n"
				if f == values {
					files[f] = "kind: RunwayKubernetesService\nmetadata: {name: web}\n"
				}
				if strings.HasSuffix(f, "/runway.yml") {
					files[f] = head
				}
			}
			dir := tree(t, files)
			m, err := Load(Source{Path: filepath.Join(dir, test.path), Environment: "production"})
			got := fmt.Sprint(err)
			if err == nil {
				got = strings.Join(m.Files, " ")
				got = strings.ReplaceAll(got, dir+"/", "")
			}
			if got = strings.ReplaceAll(got, dir, "DIR"); got != test.want {
				t.Errorf("\n got %s\nwant %s", got, test.want)
			}
		})
	}
}

// The mistakes that teams shipped are found, in the file that has them.
func TestLoad_RefusesBadKubernetesManifests(t *testing.T) {
	var out strings.Builder
	const top = "kind: RunwayKubernetesDeployment\n"
	for _, bad := range []struct{ id, values, overlay string }{
		{"kind-missing", strings.Replace(kubernetesValues, "kind: RunwayKubernetesService\n", "", 1), kubernetesOverlay},
		{"kind-missing-overlay", kubernetesValues, strings.Replace(kubernetesOverlay, top, "", 1)},
		{"kind-mistyped", strings.Replace(kubernetesValues, "RunwayKubernetesService", "RunwayKuberntesService", 1), kubernetesOverlay},
		{"kind-of-a-service", head, kubernetesOverlay},
		{"too-shallow", kubernetesValues, top + "glgo:\n  scalability: {max_instances: 3}\n"},
		{"beside-the-service", kubernetesValues, top + "spec:\n  container_port: 80\n"},
		{"no-service", kubernetesValues, top},
		{"two-services", kubernetesValues, top + "glgo: {}\nother: {}\n"},
		{"service-twice", kubernetesValues, top + "glgo: {}\nglgo: {}\n"},
		{"service-is-text", kubernetesValues, top + "glgo: spec\n"},
		{"environment-number", kubernetesValues, top + "glgo:\n  spec:\n    environment: {A: 1, B: true, C: 1.10, D: , E: [x]}\n"},
		{"environment-twice", kubernetesValues, top + "glgo:\n  spec:\n    environment:\n      A: x\n      B: y\n      A: z\n"},
		{"environment-name", kubernetesValues, top + "glgo:\n  spec:\n    environment: {A-B: x, PORT: \"1\", RUNWAY_X: y}\n"},
		{"environment-region", kubernetesValues, top + "glgo:\n  spec:\n    environment: {A: \"x-${region}\"}\n"},
		{"command-number", kubernetesValues, top + "glgo:\n  spec: {command: [/glgo, 80]}\n"},
		{"command-text", kubernetesValues, top + "glgo:\n  spec: {command: /glgo serve}\n"},
		{"label-list", kubernetesValues, top + "glgo:\n  metadata: {labels: {a: [b]}}\n"},
		{"secrets", kubernetesValues, top + "glgo:\n  workloadSecrets: [{name: a}]\n  secretEnvFrom: [a]\n  secretVolumes: [{name: a, path: /a}]\n"},
		{"autoscaling", kubernetesValues, top + "glgo:\n  spec:\n    scalability: {cpu_utilization: 70}\n    ingress: {hosts: [a.example.com]}\n"},
		{"protocol", kubernetesValues, top + "glgo:\n  spec: {protocol: tcp}\n"},
		{"field-of-a-service", kubernetesValues, top + "glgo:\n  spec:\n    load_balancing: {external_load_balancer: {backend_protocol: HTTP2}}\n"},
		{"two-processes", kubernetesValues, top + "glgo:\n  spec: {services: {app: {}, frontend: {}}}\n"},
		{"process-twice", kubernetesValues, top + "glgo:\n  spec:\n    container_port: 1\n    services: {app: {container_port: 2}}\n"},
		{"process-in-itself", kubernetesValues, top + "glgo:\n  spec: &s\n    services: {app: *s}\n"},
		{"disk-above-limit", kubernetesValues, top + "glgo:\n  spec: {resources: {limits: {ephemeral-storage: 512Mi}}}\n"},
		{"only-together", kubernetesValues, top + "glgo:\n  spec: {scalability: {max_instances: 1}}\n"},
	} {
		dir := tree(t, map[string]string{"default-values.yaml": bad.values, "eks-service-staging.yaml": bad.overlay})
		_, err := Load(Source{Path: dir, Environment: "staging"})
		if err == nil {
			t.Errorf("%s: accepted", bad.id)
			continue
		}
		fmt.Fprintf(&out, "-- %s --\n%s\n", bad.id, strings.ReplaceAll(err.Error(), dir+"/", ""))
	}
	golden(t, "testdata/bad_kubernetes.golden", out.String())
}
