// Command build makes a container image of a Go program without Docker: one static
// binary on an empty file system, written as an archive that `docker load`,
// `skopeo copy` and `runwayctl deploy --image docker-archive:FILE` understand. The
// same source makes the same bytes.
//
//	go run ./examples/build -o hello.tar ./examples/hello
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "build:", err)
		os.Exit(1)
	}
}

// run builds what the command line names and prints the image's digest.
func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("build", flag.ContinueOnError)
	out := flags.String("o", "", "archive to write (default NAME.tar)")
	arch := flags.String("arch", runtime.GOARCH, "architecture of the image")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return fmt.Errorf("usage: build [-o FILE] [-arch ARCH] PACKAGE")
	}
	program := flags.Arg(0)
	name, err := nameOf(program)
	if err != nil {
		return err
	}
	if *out == "" {
		*out = name + ".tar"
	}
	binary, err := compile(ctx, program, *arch)
	if err != nil {
		return err
	}
	digest, err := write(*out, name, *arch, binary)
	if err != nil {
		return err
	}
	fmt.Println(*out, digest)
	return nil
}

// nameOf is the last part of the package's path, by which the image is tagged.
func nameOf(program string) (string, error) {
	path, err := filepath.Abs(program)
	if err != nil {
		return "", fmt.Errorf("find package %q: %w", program, err)
	}
	return strings.ToLower(filepath.Base(path)), nil
}
