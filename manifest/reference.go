package manifest

import (
	"fmt"
	"strings"
)

// Reference returns the reference page of the manifest in Markdown, made from the
// table of fields.
func Reference() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Fields of runway.yml\n\nMade from the table in fields.go; a test compares the two.\n\n")
	fmt.Fprintf(&b, "| field | value | default | meaning |\n|---|---|---|---|\n")
	for _, f := range fields {
		if f.Built() && (!f.Warns() || f.rule.partly) && f.rule.shape != block {
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.Path, f.Form(), f.Default, f.Doc)
		}
	}
	fmt.Fprintf(&b, "\n## Blocks with a meaning of their own\n\n| block | when absent | meaning |\n|---|---|---|\n")
	for _, f := range fields {
		if f.rule.shape == block && f.Default != "" {
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", f.Path, f.Default, f.Doc)
		}
	}
	fmt.Fprintf(&b, "\n## Read without an effect of their own\n\nMost name what only a public cloud has. A warning says what happens instead.\n\n| field | value | what happens |\n|---|---|---|\n")
	for _, f := range fields {
		if f.Warns() {
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", f.Path, f.Form(), f.rule.happens)
		}
	}
	fmt.Fprintf(&b, "\n## Known and not built yet\n\n| field | meaning | instead |\n|---|---|---|\n")
	for _, f := range fields {
		if !f.Built() {
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", f.Path, f.Doc, f.Form())
		}
		if f.rule.missing != "" {
			fmt.Fprintf(&b, "| `%s`: %s | %s | %s |\n", f.Path, f.rule.missing, f.Doc, f.rule.todo)
		}
	}
	return b.String()
}
