package cli

import (
	"maps"
	"slices"
	"strconv"

	"github.com/runway-platform/runway/manifest"
	"github.com/spf13/cobra"
)

func (a *app) envCommand() *cobra.Command {
	return noun("env", "Look at environment variables", a.envDiffCommand())
}

func (a *app) envDiffCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "diff ENVIRONMENT ENVIRONMENT [SERVICE]",
		Short: "Show the variables in which two environments differ",
		Long: "Diff reads the manifest and the env file of both environments and lists each variable that only one\n" +
			"has, or that has two values. Values are compared as replicas get them: 1 and \"1\" are the same.\n" +
			"It needs no cluster.",
		Example: "  runwayctl env diff staging production\n  runwayctl env diff staging production web -o json",
		Args:    between(2, "ENVIRONMENT", "ENVIRONMENT", "SERVICE"),
		RunE: func(_ *cobra.Command, args []string) error {
			return a.envDiff(file, args[0], args[1], firstOf(args[2:]))
		},
	}
	registerFile(cmd, &file)
	return cmd
}

// envDifference is the document of `env diff`.
type envDifference struct {
	A         string            `json:"a"`
	B         string            `json:"b"`
	Variables []differentValues `json:"variables"`
}

// differentValues are those of one variable; nil where there is none.
type differentValues struct {
	Name string  `json:"name"`
	A    *string `json:"a"`
	B    *string `json:"b"`
}

func (a *app) envDiff(file, one, other, service string) error {
	var environments [2]map[string]string
	var warnings []string
	for i, name := range []string{one, other} {
		m, err := manifest.Load(manifest.Source{Path: file, Service: service, Environment: name})
		if err != nil {
			return err
		}
		for _, w := range m.Warnings {
			if w = name + ": " + w; !slices.Contains(warnings, w) { // both may be the same
				warnings = append(warnings, w)
			}
		}
		environments[i] = m.Spec.GetEnv()
	}
	for _, w := range warnings {
		a.warn(w)
	}
	d := envDifference{A: one, B: other, Variables: different(environments[0], environments[1])}
	return a.showValue(d, func(t *table) {
		if len(d.Variables) == 0 {
			t.text(one + " and " + other + " have the same variables")
			return
		}
		t.head("VARIABLE", one, other)
		for _, v := range d.Variables {
			t.row(v.Name, shown(v.A), shown(v.B))
		}
	})
}

// different lists the variables that are not the same in both, by name.
func different(a, b map[string]string) []differentValues {
	all := maps.Clone(a)
	maps.Copy(all, b)
	list := []differentValues{}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		inA, inB := lookUp(a, name), lookUp(b, name)
		if inA == nil || inB == nil || *inA != *inB {
			list = append(list, differentValues{name, inA, inB})
		}
	}
	return list
}

func lookUp(variables map[string]string, name string) *string {
	if value, ok := variables[name]; ok {
		return &value
	}
	return nil
}

// shown is a value in quotes, so that an empty one differs from none.
func shown(value *string) string {
	if value == nil {
		return ""
	}
	return strconv.Quote(*value)
}
