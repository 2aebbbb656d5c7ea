// Command runwayctl is the client of a Runway cluster.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/runway-platform/runway/cli"
	"github.com/runway-platform/runway/cli/config"
	"github.com/runway-platform/runway/coordinator/client"
	"golang.org/x/term"
)

func main() { os.Exit(run()) }

// run ends at the first signal; a second one kills the process as usual.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	return cli.Run(ctx, cli.Process{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		StdinTerminal: terminal(os.Stdin), StdoutTerminal: terminal(os.Stdout), StderrTerminal: terminal(os.Stderr),
		Width: width(os.Stdout, os.Stderr), LookupEnv: os.LookupEnv, UserConfig: userConfig(),
		Now: time.Now, Build: build(), Machine: machine(),
		Dial: func(c client.Config) (cli.Conn, error) { return client.Dial(c) },
	}, os.Args[1:])
}

// width is that of the first stream that is a terminal, 0 when none is.
func width(streams ...*os.File) int {
	for _, f := range streams {
		if columns, _, err := term.GetSize(int(f.Fd())); err == nil {
			return columns
		}
	}
	return 0
}

func terminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// userConfig is empty for an account without a home.
func userConfig() string {
	path, err := config.DefaultPath()
	if err != nil {
		return ""
	}
	return path
}
