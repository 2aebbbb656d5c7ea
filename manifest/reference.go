package manifest

import (
	"fmt"
	"strings"
)

// Reference returns the reference page of the manifest in Markdown, made from the
// table of fields.
func Reference() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Fields of runway.yml\n\nMade from the table of fields; a test compares the two.\n\n")
	writeFields(&b, fields.of(service))
	section(&b, "Blocks with a meaning of their own", "", "block | when absent | meaning")
	for _, f := range fields {
		if f.rule.shape == block && f.Default != "" {
			row(&b, f, f.Default, f.Doc)
		}
	}
	section(&b, "Fields of the Kubernetes kinds",
		"`RunwayKubernetesService` (`RunwayGKEService`) in `default-values.yaml` and `RunwayKubernetesDeployment` in `eks-service-ENV.yaml` or `gke-service-ENV.yaml` have the fields above "+
			"but for `extends` and `backend_protocol`, and these. Absent, `min_instances` is "+fmt.Sprint(kubernetesMin)+", `max_instances` "+fmt.Sprint(kubernetesMax)+" and the memory limit 1Gi.",
		"field | value | default | meaning")
	for _, f := range kubernetesFields {
		if f.Built() && f.rule.shape != block && !f.Warns() {
			row(&b, f, f.Form(), f.Default, f.Doc)
		}
	}
	section(&b, "Read without an effect of their own", "Most name what only a public cloud has. A warning says what happens instead.", "field | value | what happens")
	for _, f := range fields {
		if f.Warns() {
			row(&b, f, f.Form(), f.rule.happens)
		}
	}
	section(&b, "Known and not built yet", "", "field | meaning | instead")
	for _, f := range fields {
		writeMissing(&b, f)
	}
	return b.String()
}

func writeFields(b *strings.Builder, rows table) {
	fmt.Fprintf(b, "| field | value | default | meaning |\n|---|---|---|---|\n")
	for _, f := range rows {
		if f.Built() && (!f.Warns() || f.rule.partly) && f.rule.shape != block {
			row(b, f, f.Form(), f.Default, f.Doc)
		}
	}
}

// writeMissing writes the row of a field or of values that are refused by name.
func writeMissing(b *strings.Builder, f Field) {
	if !f.Built() {
		row(b, f, f.Doc, f.Form())
	}
	if f.rule.missing != "" {
		fmt.Fprintf(b, "| `%s`: %s | %s | %s |\n", f.Path, f.rule.missing, f.Doc, f.rule.todo)
	}
}

func section(b *strings.Builder, title, text, columns string) {
	fmt.Fprintf(b, "\n## %s\n\n", title)
	if text != "" {
		fmt.Fprintf(b, "%s\n\n", text)
	}
	fmt.Fprintf(b, "| %s |\n|%s\n", columns, strings.Repeat("---|", 1+strings.Count(columns, "|")))
}

func row(b *strings.Builder, f Field, cells ...string) {
	fmt.Fprintf(b, "| `%s` | %s |\n", f.Path, strings.Join(cells, " | "))
}
