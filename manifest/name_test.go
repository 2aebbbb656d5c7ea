package manifest

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestCheckName_Refuses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ id, name, want string }{
		{"name-empty", "", `RW-8101 service name "" is empty; use lower-case letters, digits and hyphens, at most 63, starting with a letter`},
		{"name-underscore", "ai_gateway", `RW-8101 service name "ai_gateway" is not a DNS label in lower case; try "ai-gateway"`},
		{"name-capital", "Web", `RW-8101 service name "Web" is not a DNS label in lower case; try "web"`},
		{"name-path", "../../etc", `RW-8101 service name "../../etc" is not a DNS label in lower case; try "etc"`},
		{"name-dot", "web.", `RW-8101 service name "web." is not a DNS label in lower case; try "web"`},
		{"name-encoded", "xn--abc", `RW-8101 service name "xn--abc" has hyphens in third and fourth place, which DNS keeps for encoded names; try "xn-abc"`},
		{"name-reserved", "localhost", `RW-8101 service name "localhost" is reserved (internal, localhost, metadata, wpad); use lower-case letters, digits and hyphens, at most 63, starting with a letter`},
		{"name-digit", "1web", `RW-8101 service name "1web" is not a DNS label in lower case; try "web"`},
		{"name-bidirectional", "\u202ebew", "RW-8101 service name \"\\u202ebew\" is not a DNS label in lower case; try \"bew\""},
		{"name-newline", "web\n", "RW-8101 service name \"web\\n\" is not a DNS label in lower case; try \"web\""},
		{"name-unicode", "日本", `RW-8101 service name "日本" is not a DNS label in lower case; use lower-case letters, digits and hyphens, at most 63, starting with a letter`},
		{"name-sixty-four", strings.Repeat("a", 64), `RW-8101 service name "` + strings.Repeat("a", 60) + `…" has 64 characters, more than 63; try "` + strings.Repeat("a", 63) + `"`},
	} {
		err := CheckName("service", test.name)
		if err == nil || err.Error() != test.want {
			t.Errorf("%s: CheckName(%q)\n got %v\nwant %s", test.id, test.name, err, test.want)
		}
	}
	for _, name := range []string{"a", "web", "web-2", "a-b-c", strings.Repeat("a", 63)} {
		if err := CheckName("service", name); err != nil {
			t.Errorf("CheckName(%q) = %v, want nil", name, err)
		}
	}
}

func TestProposeName_IsAllowed(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.String().Draw(t, "name")
		if p := ProposeName(name); p != "" && CheckName("service", p) != nil {
			t.Fatalf("ProposeName(%q) = %q, which is not allowed", name, p)
		}
	})
}
