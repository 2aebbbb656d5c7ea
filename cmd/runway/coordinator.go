package main

import (
	"fmt"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/runway-platform/runway/coordinator"
)

func coordinatorCommand() *cobra.Command {
	c := coordinator.Config{Version: version}
	var metrics string
	cmd := &cobra.Command{
		Use:     "coordinator",
		Short:   "Hold the cluster's desired state and decide",
		Example: "  runway coordinator --data-dir /var/lib/runway --listen 10.0.0.1:7443 --domain apps.example.com --bootstrap",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			observed := newObserved()
			c.Log, c.Registerer = newLogger(), observed.registry
			c.FirstToken = func(token string) {
				fmt.Printf("token of the cluster administrator, shown only now:\n%s\n", token)
			}
			process, err := coordinator.New(c)
			if err != nil {
				return err
			}
			group, ctx := errgroup.WithContext(cmd.Context())
			group.Go(func() error { return observed.serve(ctx, metrics) })
			group.Go(func() error { return process.Run(ctx) })
			return group.Wait()
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&c.DataDir, "data-dir", "/var/lib/runway/coordinator", "directory of log, snapshots and keys")
	flags.StringVar(&c.Listen, "listen", "0.0.0.0:7443", "address of the API, the sessions and Raft")
	flags.StringVar(&c.Advertise, "advertise", "", "address at which others reach it (default: listen)")
	flags.BoolVar(&c.Bootstrap, "bootstrap", false, "make a new cluster when the directory is empty")
	flags.StringVar(&c.Domain, "domain", "", "domain that services are published under; at bootstrap")
	flags.StringSliceVar(&c.Regions, "regions", []string{"local"}, "names of the regions; at bootstrap")
	flags.StringVar(&c.Registry, "registry", "", "registry that image archives are pushed to; at bootstrap")
	flags.StringVar(&c.AdminTokenFile, "admin-token-file", "", "file for the first token (default: printed once)")
	flags.StringVar(&c.CAFile, "ca-file", "", "file for a copy of the authority's certificate; at bootstrap")
	flags.StringSliceVar(&c.PlainHTTPRegistries, "plain-http-registries", nil, "registries that are asked without TLS, besides those on loopback")
	flags.StringVar(&metrics, "metrics", "127.0.0.1:9464", "address of /metrics")
	fromFileAndEnvironment(cmd)
	cmd.AddCommand(adminTokenCommand())
	return cmd
}

func adminTokenCommand() *cobra.Command {
	c := coordinator.Config{Version: version}
	cmd := &cobra.Command{
		Use:   "admin-token",
		Short: "Make a token of a cluster administrator, on the machine of a coordinator",
		Long: "Makes a token of a cluster administrator when nobody has one any more. It is proven with\n" +
			"the key in the data directory, so it runs on the machine of a coordinator, which must be running.",
		Example: "  runway coordinator admin-token --data-dir /var/lib/runway/coordinator --advertise 10.0.0.1:7443",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			token, err := c.MakeAdminToken(cmd.Context())
			if err != nil {
				return err
			}
			fmt.Println(token)
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&c.DataDir, "data-dir", "/var/lib/runway/coordinator", "directory of the coordinator's keys")
	flags.StringVar(&c.Advertise, "advertise", "127.0.0.1:7443", "address at which the coordinator is reached")
	return cmd
}
