package cli

import (
	"fmt"

	"github.com/runway-platform/runway/manifest"
	"github.com/spf13/cobra"
	yaml "go.yaml.in/yaml/v3"
)

func (a *app) manifestCommand() *cobra.Command {
	return noun("manifest", "Look at manifests as Runway reads them", a.manifestRenderCommand(), a.manifestSchemaCommand())
}

func (a *app) manifestRenderCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "render [SERVICE]",
		Short: "Show the manifest that holds in an environment",
		Long: "Render merges what the files of an environment say, fills in every default, and shows the result as\n" +
			"one manifest of kind RunwayService that means the same alone. It needs no cluster. What has no effect\n" +
			"is left out. The same files give the same text.",
		Example: "  runwayctl manifest render -e staging\n  runwayctl manifest render web -f . -o json",
		Args:    between(0, "SERVICE"),
		RunE:    func(_ *cobra.Command, args []string) error { return a.manifestRender(file, firstOf(args)) },
	}
	registerFile(cmd, &file)
	return cmd
}

func registerFile(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVarP(file, "file", "f", "", "manifest, or a folder to look in (default \".\")")
}

func (a *app) manifestRender(file, service string) error {
	if err := a.names(); err != nil {
		return err
	}
	m, err := manifest.Load(manifest.Source{Path: file, Service: service, Environment: a.globals.environment})
	if err != nil {
		return err
	}
	for _, w := range m.Warnings {
		a.warn(w)
	}
	text, err := m.Render()
	if err != nil {
		return err
	}
	if a.globals.output != formatJSON {
		_, err := a.Stdout.Write(text)
		return err
	}
	var document any
	if err := yaml.Unmarshal(text, &document); err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	return a.showValue(document, nil)
}

func (a *app) manifestSchemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Show the JSON Schema of manifests",
		Long: "Schema shows what editors check manifests with while you write, made from the same table that deploy\n" +
			"reads by. Let the first line of a manifest name the file that you keep it in:\n" +
			"# yaml-language-server: $schema=runway.schema.json",
		Example: "  runwayctl manifest schema",
		Args:    exactly(),
		RunE:    func(*cobra.Command, []string) error { return a.manifestSchema() },
	}
}

func (a *app) manifestSchema() error {
	text, err := manifest.Schema()
	if err != nil {
		return err
	}
	return a.showJSON(text)
}
