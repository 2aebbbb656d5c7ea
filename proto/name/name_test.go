package name

import (
	"strings"
	"testing"
)

func TestFault(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"a", "web", "web-2", "a-b-c", "internals", "x-n--a", strings.Repeat("a", MaxLength)} {
		if fault := Fault(good); fault != "" {
			t.Errorf("Fault(%q) = %q", good, fault)
		}
	}
	for bad, want := range map[string]string{
		"":                               "is empty",
		strings.Repeat("a", MaxLength+1): "has 64 characters",
		"../../etc":                      "not a DNS label",
		"web.":                           "not a DNS label",
		"web\n":                          "not a DNS label",
		"\u202ebew":                      "not a DNS label",
		"Web":                            "not a DNS label",
		"a-":                             "not a DNS label",
		"xn--abc":                        "hyphens in third and fourth place",
	} {
		if fault := Fault(bad); !strings.Contains(fault, want) {
			t.Errorf("Fault(%q) = %q, want %q in it", bad, fault, want)
		}
	}
}

// Each reserved name is refused by a sentence that lists them all.
func TestFault_NamesTheReservedList(t *testing.T) {
	t.Parallel()
	for _, name := range Reserved() {
		fault := Fault(name)
		for _, listed := range Reserved() {
			if !strings.Contains(fault, listed) {
				t.Errorf("Fault(%q) = %q, which does not list %s", name, fault, listed)
			}
		}
	}
	for _, name := range []string{"localhost", "metadata", "internal"} {
		if Fault(name) == "" {
			t.Errorf("%s is allowed", name)
		}
	}
}
