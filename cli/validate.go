package cli

import (
	"encoding/json"
	"strings"

	"github.com/spf13/cobra"
)

func (a *app) validateCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:     "validate [SERVICE]",
		Short:   "Check the manifest of this folder without deploying it",
		Long:    "Validate reads what deploy would read and shows every problem at once. It needs no cluster.",
		Example: "  runwayctl validate\n  runwayctl validate -f .runway/runway.yml -e staging",
		Args:    between(0, "SERVICE"),
		RunE:    func(_ *cobra.Command, args []string) error { return a.validate(file, firstOf(args)) },
	}
	registerFile(cmd, &file)
	return cmd
}

// validation is the document of `validate`.
type validation struct {
	Space       string          `json:"space"`
	Service     string          `json:"service"`
	Environment string          `json:"environment"`
	Files       []string        `json:"files"`
	Warnings    []string        `json:"warnings"`
	Spec        json.RawMessage `json:"spec"`
}

func (a *app) validate(file, service string) error {
	if err := a.names(); err != nil {
		return err
	}
	m, key, err := a.readManifest(file, service)
	if err != nil {
		return err
	}
	for _, w := range m.Warnings {
		a.warn(w)
	}
	spec, err := encode(m.Spec)
	if err != nil {
		return err
	}
	v := validation{
		Space: key.GetSpace(), Service: key.GetService(), Environment: key.GetEnvironment(),
		Files: m.Files, Warnings: notNil(m.Warnings), Spec: spec,
	}
	return a.showValue(v, func(t *table) {
		t.text(strings.Join(m.Files, ", ") + ": valid for " + key.GetSpace() + "/" + key.GetService() + " in " + key.GetEnvironment())
	})
}
