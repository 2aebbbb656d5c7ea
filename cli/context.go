package cli

import (
	"fmt"
	"path/filepath"

	"github.com/runway-platform/runway/cli/config"
	"github.com/spf13/cobra"
)

func (a *app) contextCommand() *cobra.Command {
	show := &cobra.Command{
		Use: "show", Short: "Show the context in use", Args: exactly(),
		Long: "Show prints the cluster, space and environment that commands go to after flags, RUNWAY_* variables and the\n" +
			"configuration file were weighed. It asks no cluster and shows no token.",
		Example: "  runwayctl context show",
		RunE:    func(*cobra.Command, []string) error { return a.showContext() },
	}
	list := &cobra.Command{
		Use: "list", Short: "List the contexts of the configuration file", Args: exactly(),
		Long:    "List shows every cluster of the configuration file, marks the current one, and shows no token.",
		Example: "  runwayctl context list",
		RunE:    func(*cobra.Command, []string) error { return a.listContexts() },
	}
	use := &cobra.Command{
		Use: "use CONTEXT", Short: "Make a context the one that is used", Args: exactly("CONTEXT"),
		Long:    "Use writes the choice into the configuration file. For one command alone use --context.",
		Example: "  runwayctl context use production",
		RunE:    func(_ *cobra.Command, args []string) error { return a.useContext(args[0]) },
	}
	return noun("context", "Show and choose the cluster that commands go to", show, list, use)
}

// contextView is a context without its token.
type contextView struct {
	Name        string `json:"name"`
	Current     bool   `json:"current"`
	Address     string `json:"address"`
	CA          string `json:"ca"`
	Space       string `json:"space"`
	Environment string `json:"environment"`
	HasToken    bool   `json:"has_token"`
}

func viewOf(c config.Context, current bool) contextView {
	return contextView{
		Name: c.Name, Current: current, Address: c.Address, CA: c.CA, Space: c.Space, Environment: c.Environment,
		HasToken: c.Token != "" || c.TokenFile != "",
	}
}

func (a *app) showContext() error {
	chosen, err := a.selectContext()
	if err != nil {
		return err
	}
	a.globals.settleNames(chosen)
	view := viewOf(chosen, true)
	view.Space, view.Environment = a.globals.space, a.globals.environment
	view.HasToken = view.HasToken || a.globals.tokenFile != "" || a.env("RUNWAY_TOKEN") != ""
	return a.showValue(view, func(t *table) {
		t.row("context", view.Name)
		t.row("address", view.Address)
		t.row("ca", view.CA)
		t.row("token", yes(view.HasToken))
		t.row("space", view.Space)
		t.row("environment", view.Environment)
	})
}

// contextFile loads the configuration file that must exist for the command.
func (a *app) contextFile() (*config.File, string, error) {
	path, _ := a.configPath()
	if path == "" {
		return nil, "", fail(usageCode, "no configuration file: name one with --config or RUNWAY_CONFIG")
	}
	file, err := config.Load(path)
	return file, path, err
}

func (a *app) listContexts() error {
	file, _, err := a.contextFile()
	if err != nil {
		return err
	}
	current, err := file.Select(a.globals.context)
	if err != nil && len(file.All()) > 0 {
		return err
	}
	views := []contextView{}
	for _, c := range file.All() {
		views = append(views, viewOf(c, c.Name == current.Name))
	}
	return a.showValue(views, func(t *table) {
		t.head("CONTEXT", "CURRENT", "ADDRESS", "TOKEN", "SPACE", "ENVIRONMENT")
		for _, v := range views {
			t.row(v.Name, yes(v.Current), v.Address, yes(v.HasToken), v.Space, v.Environment)
		}
	})
}

// useContext writes the choice where the file really is: the path may be a link.
func (a *app) useContext(name string) error {
	file, path, err := a.contextFile()
	if err != nil {
		return err
	}
	if _, err := file.Select(name); err != nil {
		return contextFailure(err)
	}
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return fmt.Errorf("find configuration %q: %w", path, err)
	}
	file.Current = name
	if err := file.Save(target); err != nil {
		return err
	}
	return a.showDone("using", "context "+name)
}
