package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/runway-platform/runway/dev"
)

func devCommand() *cobra.Command {
	c := dev.Config{}
	cmd := &cobra.Command{
		Use:     "dev",
		Short:   "Run a whole cluster on this machine",
		Long:    "Runs coordinator, agents and ingresses as processes of their own on this machine,\nprints \"ready\" when it can be deployed to, and keeps them running until it is stopped.\nServices go on when it is stopped; `runway dev remove` removes everything.",
		Example: "  runway dev --data-dir /var/lib/runway-dev --nodes 2",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if c.Executable, err = os.Executable(); err != nil {
				return fmt.Errorf("find own executable: %w", err)
			}
			if c.DataDir, err = filepath.Abs(c.DataDir); err != nil {
				return err
			}
			return dev.Run(cmd.Context(), c, newLogger(), func() { fmt.Println("ready") })
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&c.Domain, "domain", "runway.localhost", "domain that services are published under")
	flags.StringVar(&c.API, "api", "127.0.0.1:7443", "address of the coordinator")
	flags.StringVar(&c.HTTP, "http", "127.0.0.1:8080", "public HTTP listener")
	flags.StringVar(&c.HTTPS, "https", "127.0.0.1:8443", "public HTTPS listener")
	flags.StringVar(&c.DNS, "dns", "127.0.0.1:5353", "public DNS listener")
	flags.StringVar(&c.Registry, "registry", "127.0.0.1:5000", "registry that image archives are pushed to")
	flags.StringVar(&c.Metrics, "metrics", "127.0.0.1:9464", "metrics of the coordinator; the others take the ports that follow")
	flags.IntVar(&c.Nodes, "nodes", 1, "agents to run")
	flags.IntVar(&c.Ingresses, "ingresses", 1, "ingresses to run")
	flags.StringVar(&c.Containerd, "containerd", "", "socket of a running containerd (default: the system's when it runs, else one of our own)")
	flags.BoolVar(&c.LinkContext, "link-context", false, "make this cluster the default of runwayctl, unless there is one")
	fromFileAndEnvironment(cmd)
	cmd.PersistentFlags().StringVar(&c.DataDir, "data-dir", "/var/lib/runway-dev", "directory that the cluster is kept in")
	cmd.AddCommand(devStatusCommand(&c), devStopCommand(&c), devRemoveCommand(&c))
	return cmd
}

func devStatusCommand(c *dev.Config) *cobra.Command {
	return &cobra.Command{
		Use:     "status",
		Short:   "Tell whether a cluster runs from the data directory",
		Args:    cobra.NoArgs,
		PreRunE: dataDirFromEnvironment,
		RunE: func(*cobra.Command, []string) error {
			pid, running := dev.Running(c.DataDir)
			if !running {
				return errors.New("no cluster runs from " + c.DataDir)
			}
			fmt.Printf("process %d runs the cluster in %s\n", pid, c.DataDir)
			return nil
		},
	}
}

func devStopCommand(c *dev.Config) *cobra.Command {
	return &cobra.Command{
		Use:     "stop",
		Short:   "Stop the cluster; services go on",
		Args:    cobra.NoArgs,
		PreRunE: dataDirFromEnvironment,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return dev.Stop(cmd.Context(), c.DataDir)
		},
	}
}

func devRemoveCommand(c *dev.Config) *cobra.Command {
	return &cobra.Command{
		Use:     "remove",
		Short:   "Stop the cluster and remove every trace of it",
		Args:    cobra.NoArgs,
		PreRunE: dataDirFromEnvironment,
		RunE: func(cmd *cobra.Command, _ []string) error {
			executable, err := os.Executable()
			if err != nil {
				return fmt.Errorf("find own executable: %w", err)
			}
			dir, err := filepath.Abs(c.DataDir)
			if err != nil {
				return err
			}
			return dev.Remove(cmd.Context(), dir, executable, newLogger())
		},
	}
}

// dataDirFromEnvironment makes the subcommands mean the same cluster as `dev` itself.
func dataDirFromEnvironment(cmd *cobra.Command, _ []string) error {
	return applyEnvironment(cmd.Flags())
}
