package dns

import (
	"errors"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/coredns/caddy"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/runway-platform/runway/ingress/route"
)

func given(t testing.TB) dependencies {
	t.Helper()
	m, err := newMetrics(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return dependencies{source: newSource(example()), metrics: m}
}

func TestSetup_Directive(t *testing.T) {
	for input, want := range map[string]string{
		"runway public":                  "",
		"runway internal":                "",
		"runway":                         "Wrong argument count",
		"runway public internal":         "Wrong argument count",
		"runway both":                    "unknown scope",
		"runway public {\n\tttl 5\n\t}":  "unknown property",
		"runway public\n\trunway public": "once per Server Block",
		"whoami":                         "Unknown directive",
		"errors":                         errBlocks.Error(),
	} {
		_, err := newInstance(".:53 {\n\t"+input+"\n}\n", given(t))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", input, err, want)
		}
	}
}

func TestSetup_OneServerBlock(t *testing.T) {
	_, err := newInstance(".:53 {\n\trunway public\n}\n.:54 {\n\trunway internal\n}\n", given(t))
	if !errors.Is(err, errBlocks) {
		t.Errorf("got %v, want %v", err, errBlocks)
	}
}

func TestSetup_NeedsAnIngress(t *testing.T) {
	if err := setup(caddy.NewTestController(serverType, "runway public")); !errors.Is(err, errAlone) && !strings.Contains(err.Error(), errAlone.Error()) {
		t.Errorf("got %v, want %v", err, errAlone)
	}
}

func TestCorefile_Loads(t *testing.T) {
	upstreams := []netip.AddrPort{netip.MustParseAddrPort("192.0.2.53:53"), netip.MustParseAddrPort("[2001:db8::53]:5353")}
	for _, scope := range []route.Scope{route.Public, route.Internal} {
		text := corefile(scope, netip.MustParseAddrPort("127.0.0.1:5353"), upstreams)
		if _, err := newInstance(text, given(t)); err != nil {
			t.Errorf("%v\n%s", err, text)
		}
		if forwards := strings.Contains(text, "forward"); forwards != (scope == route.Internal) {
			t.Errorf("scope %d forwards: %v", scope, forwards)
		}
	}
}

// As in CoreDNS, what the README shows is loaded.
func TestReadme_ExamplesLoad(t *testing.T) {
	blocks := regexp.MustCompile("(?s)~~~ corefile\n(.*?)~~~").FindAllStringSubmatch(readme(t), -1)
	if len(blocks) < 2 {
		t.Fatalf("README has %d examples", len(blocks))
	}
	for _, block := range blocks {
		if _, err := newInstance(block[1], given(t)); err != nil {
			t.Errorf("%v\n%s", err, block[1])
		}
	}
}

func TestReadme_ListsEveryMetric(t *testing.T) {
	descs := make(chan *prometheus.Desc, 10)
	m := given(t).metrics
	m.requests.Describe(descs)
	m.duration.Describe(descs)
	shed, err := shedDrops()
	if err != nil {
		t.Fatal(err)
	}
	shed.Describe(descs)
	close(descs)
	var exported []string
	for d := range descs {
		_, rest, _ := strings.Cut(d.String(), `fqName: "`)
		name, _, _ := strings.Cut(rest, `"`)
		exported = append(exported, name)
	}
	var documented []string
	for _, found := range regexp.MustCompile("(?m)^\\* `([a-z_]+)").FindAllStringSubmatch(readme(t), -1) {
		documented = append(documented, found[1])
	}
	slices.Sort(exported)
	slices.Sort(documented)
	if !slices.Equal(exported, documented) {
		t.Errorf("README lists %v, exported are %v", documented, exported)
	}
}

func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
