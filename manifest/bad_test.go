package manifest

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/runway-platform/runway/proto/code"
)

const head = "apiVersion: runway/v1\nkind: RunwayService\nmetadata:\n  name: web\n"

// badManifests lists every kind of manifest that must be refused. The answers stand
// in testdata/bad.golden, one section per id.
var badManifests = []struct{ id, input string }{
	{"empty", ""},
	{"comment-only", "# nothing\n"},
	{"null", "~\n"},
	{"list", "- a\n- b\n"},
	{"scalar", "hello\n"},
	{"not-yaml", "spec: [1, 2\nfoo: 'x\n"},
	{"wrong-indent", head + "spec:\n  container_port: 80\n    request_timeout: 3\n"},
	{"indent-between", head + "spec:\n    container_port: 80\n  request_timeout: 3\n"},
	{"tab", head + "spec:\n\tcontainer_port: 80\n"},
	{"two-documents", head + "---\n" + head},
	{"utf16", "\xff\xfea\x00:\x00"},
	{"utf16-big-endian", "\xfe\xff\x00a\x00:"},
	{"nul", head + "spec:\x00\n"},
	{"latin1", head + "  owner: J\xfcrgen\n"},
	{"unknown-anchor", head + "spec:\n  startup_probe: *probe\n"},
	{"merge-key", head + "x: &a {}\nspec:\n  <<: *a\n"},
	{"many-aliases", head + "spec: [&a 1" + strings.Repeat(", *a", 101) + "]\n"},
	{"alias-bomb", aliasBomb()},
	{"fifty-megabytes", strings.Repeat("a: b\n", 10<<20)},
	{"depth-10000-flow", head + "spec: " + strings.Repeat("[", 10_000) + "\n"},
	{"depth-10000-mapping", head + "spec: " + strings.Repeat("{spec: ", 10_000) + "\n"},
	{"depth-10000-dashes", strings.Repeat("- ", 10_000) + "a\n"},
	{"duplicate-key", head + "spec:\n  container_port: 80\n  container_port: 81\n"},
	{"duplicate-block", head + "spec:\n  container_port: 80\nspec:\n  container_port: 81\n"},
	{"unknown-top", head + "sepc:\n  container_port: 80\n"},
	{"unknown-nearest", head + "spec:\n  contaner_port: 80\n"},
	{"unknown-swapped", head + "spec:\n  startup_probe:\n    apth: /\n"},
	{"unknown-camel", head + "spec:\n  containerPort: 80\n"},
	{"unknown-hyphen", head + "spec:\n  request-timeout: 80\n"},
	{"unknown-far", head + "spec:\n  sidecars: 80\n"},
	{"unknown-key-is-list", head + "? [a, b]\n: 1\n"},
	{"unknown-key-number", head + "1: 1\n"},
	{"environment-number", head + "spec:\n  environment: {A: 1, B: true}\n"},
	{"environment-reserved", head + "spec:\n  environment: {PORT: \"1\", RUNWAY_X: a, LD_PRELOAD: /x.so}\n"},
	{"environment-name", head + "spec:\n  environment: {A-B: x}\n"},
	{"command-text", head + "spec:\n  command: /web serve\n"},
	{"label-list", head + "  labels: {a: [b]}\n"},
	{"field-of-kubernetes", head + "spec:\n  protocol: http\n"},
	{"too-shallow", head + "scalability:\n  min_instances: 1\n"},
	{"too-shallow-in-spec", head + "spec:\n  min_instances: 1\n"},
	{"too-shallow-two-levels", head + "spec:\n  cpu: 1\n"},
	{"too-deep", head + "spec:\n  scalability:\n    container_port: 80\n"},
	{"other-block", head + "spec:\n  resources:\n    min_instances: 80\n"},
	{"ambiguous", head + "spec:\n  path: /healthz\n"},
	{"kind-missing", "apiVersion: runway/v1\nmetadata:\n  name: web\n"},
	{"kind-job", "kind: RunwayJob\nmetadata:\n  name: web\n"},
	{"kind-kubernetes", "kind: Deployment\nmetadata:\n  name: web\n"},
	{"api-unknown", "apiVersion: v1\nkind: RunwayService\nmetadata:\n  name: web\n"},
	{"name-missing", "kind: RunwayService\nmetadata:\n  owner: a\n"},
	{"metadata-missing", "kind: RunwayService\n"},
	{"name-long", "kind: RunwayService\nmetadata:\n  name: " + strings.Repeat("a", 64) + "\n"},
	{"name-null", "kind: RunwayService\nmetadata:\n  name:\n"},
	{"name-control", "kind: RunwayService\nmetadata:\n  name: \"a\\0b\"\n"},
	{"label-long", "kind: RunwayService\nmetadata:\n  name: web\n  owner: " + strings.Repeat("a", 201) + "\n"},
	{"path-long", head + "spec:\n  startup_probe:\n    path: /" + strings.Repeat("a", 1024) + "\n"},
	{"max-1001", head + "spec:\n  scalability:\n    max_instances: 1001\n"},
	{"block-is-text", head + "spec: web\n"},
	{"block-is-list", head + "spec:\n  resources:\n  - limits\n"},
	{"text-is-block", head + "spec:\n  image:\n    name: x\n"},
	{"port-0", head + "spec:\n  container_port: 0\n"},
	{"port-65536", head + "spec:\n  container_port: 65536\n"},
	{"port-70000", head + "spec:\n  container_port: 70000\n"},
	{"port-negative", head + "spec:\n  container_port: -1\n"},
	{"port-text", head + "spec:\n  container_port: \"80 \"\n"},
	{"port-quoted", head + "spec:\n  container_port: \"80\"\n"},
	{"port-hex", head + "spec:\n  container_port: 0x50\n"},
	{"port-octal", head + "spec:\n  container_port: 0120\n"},
	{"port-float", head + "spec:\n  container_port: 80.0\n"},
	{"port-underscore", head + "spec:\n  container_port: 8_0\n"},
	{"port-null", head + "spec:\n  container_port:\n"},
	{"port-huge", head + "spec:\n  container_port: 99999999999999999999\n"},
	{"bool-yes", head + "spec:\n  load_balancing:\n    external_load_balancer:\n      enabled: yes\n"},
	{"protocol-unknown", head + "spec:\n  load_balancing:\n    external_load_balancer:\n      backend_protocol: TCP\n"},
	{"probe-path-relative", head + "spec:\n  startup_probe:\n    path: healthz\n"},
	{"probe-path-newline", head + "spec:\n  startup_probe:\n    path: \"/a\\r\\nHost: b\"\n"},
	{"probe-both", head + "spec:\n  startup_probe:\n    path: /a\n    grpc_service: b\n"},
	{"probe-period-0", head + "spec:\n  startup_probe:\n    period_seconds: 0\n"},
	{"timeout-3601", head + "spec:\n  request_timeout: 3601\n"},
	{"cpu-text", head + "spec:\n  resources:\n    limits:\n      cpu: two\n"},
	{"memory-0", head + "spec:\n  resources:\n    limits:\n      memory: 0\n"},
	{"memory-negative", head + "spec:\n  resources:\n    limits:\n      memory: -1\n"},
	{"memory-exponent", head + "spec:\n  resources:\n    limits:\n      memory: 1e400Gi\n"},
	{"memory-overflow", head + "spec:\n  resources:\n    limits:\n      memory: 99999999999999999Ti\n"},
	{"memory-list", head + "spec:\n  resources:\n    limits:\n      memory: [1Gi]\n"},
	{"memory-below-least", head + "spec:\n  resources:\n    limits:\n      memory: 1Mi\n"},
	{"memory-unit", head + "spec:\n  resources:\n    limits:\n      memory: 8X\n"},
	{"min-above-max", head + "spec:\n  scalability:\n    min_instances: 10\n    max_instances: 3\n"},
	{"min-above-default-max", head + "spec:\n  scalability:\n    min_instances: 101\n"},
	{"max-0", head + "spec:\n  scalability:\n    max_instances: 0\n"},
	{"request-above-limit", head + "spec:\n  resources:\n    limits:\n      cpu: 1\n    requests:\n      cpu: 1001m\n"},
	{"memory-request-above-limit", head + "spec:\n  resources:\n    limits: {memory: 1Gi}\n    requests: {memory: 2Gi}\n"},
	{"two-protocols", head + "spec:\n  load_balancing:\n    internal_load_balancer: {backend_protocol: grpc}\n"},
	{"regions-none", head + "spec:\n  regions: []\n"},
	{"regions-twice", head + "spec:\n  regions: [us-east1, us-east1]\n"},
	{"regions-mapping", head + "spec:\n  regions: [{a: b}]\n"},
	{"egress-unknown", head + "spec:\n  vpc_access: {egress: SOME_TRAFFIC}\n"},
	{"strategy-not-built", head + "spec:\n  deployment: {strategy: legacy}\n"},
	{"strategy-unknown", head + "spec:\n  deployment: {strategy: bluegreen}\n"},
	{"boost-not-built", head + "spec:\n  resources: {startup_cpu_boost: true}\n"},
	{"cloudflare-not-built", head + "spec:\n  network_policies: {cloudflare: true}\n"},
	{"all-at-once", "apiVersion: runway/v2\nspec:\n  container_port: 0\n  foo: 1\n  regions: [a]\n  container_port: 1\n  scalability:\n    min_instances: 10\n    max_instances: 3\nmetadata: 3\n"},
}

func aliasBomb() string {
	var b strings.Builder
	b.WriteString("a: &a [x, x, x, x, x, x, x, x, x]\n")
	for i := byte('b'); i <= 'z'; i++ {
		fmt.Fprintf(&b, "%c: &%c [%s*%c]\n", i, i, strings.Repeat(fmt.Sprintf("*%c, ", i-1), 8), i-1)
	}
	return b.String()
}

func TestParse_RefusesBadManifests(t *testing.T) {
	var out strings.Builder
	ids := map[string]bool{}
	for _, bad := range badManifests {
		if ids[bad.id] {
			t.Errorf("id %s is there twice", bad.id)
		}
		ids[bad.id] = true
		m, err := Parse("runway.yml", []byte(bad.input))
		var problems Errors
		if !errors.As(err, &problems) || m != nil {
			t.Errorf("%s: got manifest %v and error %v, want Errors", bad.id, m, err)
			continue
		}
		fmt.Fprintf(&out, "-- %s --\n%v\n", bad.id, problems)
		checkProblems(t, bad.id, problems)
	}
	golden(t, "testdata/bad.golden", out.String())
}

// checkProblems checks what holds of every answer.
func checkProblems(t *testing.T, id string, problems Errors) {
	t.Helper()
	for i, p := range problems {
		if _, known := code.Lookup(p.Code); !known || p.Message == "" || p.Fix == "" {
			t.Errorf("%s: problem without known code, message or fix: %+v", id, p)
		}
		if p.Code != code.ManifestUnreadable && (p.Line < 1 || p.Column < 1) {
			t.Errorf("%s: problem without a place: %+v", id, p)
		}
		if i > 0 && (p.Line < problems[i-1].Line || p.Line == problems[i-1].Line && p.Column < problems[i-1].Column) {
			t.Errorf("%s: problem %d is out of order", id, i)
		}
	}
}

// Every field that is known and not built is refused by its name.
func TestParse_RefusesFieldsThatAreNotBuilt(t *testing.T) {
	t.Parallel()
	for _, f := range Fields() {
		if f.Built() {
			continue
		}
		_, err := Parse("runway.yml", []byte(documentWith(f, "1")))
		var problems Errors
		if !errors.As(err, &problems) || !hasProblem(problems, code.ManifestNotBuilt, f.Path+" is not built yet") {
			t.Errorf("%s: got %v, want %s by name", f.Path, err, code.ManifestNotBuilt)
		}
	}
}

// Every built field is read: a list is no value of a scalar or a block, and a scalar
// none of a list.
func TestParse_ChecksEveryBuiltField(t *testing.T) {
	t.Parallel()
	for _, f := range Fields() {
		if !f.Built() || f.rule.other != "" {
			continue
		}
		value, message := "[1]", f.Path+" is a list"
		if f.rule.shape == list {
			value, message = "1", f.Path+" is the number 1"
		}
		_, err := Parse("runway.yml", []byte(documentWith(f, value)))
		var problems Errors
		if !errors.As(err, &problems) || !hasProblem(problems, code.ManifestValue, message) {
			t.Errorf("%s: got %v, want %s", f.Path, err, code.ManifestValue)
		}
	}
}

// documentWith is a document of a kind that has the field, with a value of it.
func documentWith(f Field, value string) string {
	text := nested(f.Path, value)
	switch {
	case f.Path == "kind" || f.rule.in == 0 || f.rule.in&service != 0:
		return text
	case f.rule.in == overlay:
		return "kind: RunwayKubernetesDeployment\nweb:\n  " + strings.ReplaceAll(text, "\n", "\n  ") + "\n"
	}
	return "kind: RunwayKubernetesService\n" + text
}

func hasProblem(problems Errors, id code.Code, message string) bool {
	for _, p := range problems {
		if p.Code == id && p.Message == message {
			return true
		}
	}
	return false
}

// nested writes PATH: VALUE as nested blocks.
func nested(path, value string) string {
	var b strings.Builder
	parts := strings.Split(path, ".")
	for i, part := range parts {
		fmt.Fprintf(&b, "%s%s:", strings.Repeat("  ", i), part)
		if i < len(parts)-1 {
			b.WriteByte('\n')
		}
	}
	return b.String() + " " + value + "\n"
}

func TestParse_StopsAfterFiftyProblems(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&b, "unknown_%d: 1\n", i)
	}
	_, err := Parse("runway.yml", []byte(b.String()))
	var problems Errors
	if !errors.As(err, &problems) || len(problems) != maxProblems {
		t.Fatalf("got %d problems, want %d", len(problems), maxProblems)
	}
}
