package cli

import "github.com/spf13/cobra"

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Show the version of runwayctl", Args: exactly(), Example: "  runwayctl version -o json",
		Long: "Version shows the client's version; `runwayctl cluster status` shows the cluster's.",
		RunE: func(*cobra.Command, []string) error {
			return a.showValue(a.Build, func(t *table) {
				t.row("version", a.Build.Version)
				t.row("commit", a.Build.Commit)
				t.row("go", a.Build.Go)
			})
		},
	}
}
