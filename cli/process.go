package cli

import (
	"context"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/runway-platform/runway/cli/doctor"
	"github.com/runway-platform/runway/coordinator/client"
	"google.golang.org/grpc"
)

// Process is all that the commands see of the process around them.
type Process struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Terminals, which may be redrawn, coloured and asked.
	StdinTerminal, StdoutTerminal, StderrTerminal bool
	// Width of the terminal, in columns; 0 when it is not known.
	Width     int
	LookupEnv func(string) (string, bool)
	// UserConfig is the configuration file that is used when none is named.
	UserConfig string
	Now        func() time.Time
	Build      Build
	// Machine is what doctor looks at.
	Machine doctor.Machine
	// Dial connects to a cluster.
	Dial func(client.Config) (Conn, error)
}

// Build says which runwayctl this is.
type Build struct {
	Version string `json:"version"`
	Commit  string `json:"commit"`
	Go      string `json:"go"`
}

// Conn is a connection to a cluster.
type Conn interface {
	grpc.ClientConnInterface
	io.Closer
	// TokenExpires returns when the token ends, if it ends soon.
	TokenExpires() time.Time
}

// env returns an environment variable, empty when it is not set.
func (p Process) env(name string) string {
	value, _ := p.LookupEnv(name)
	return value
}

// envBool reads a variable that switches something on; anything but a false value
// does.
func (p Process) envBool(name string) bool {
	value := strings.TrimSpace(p.env(name))
	on, err := strconv.ParseBool(value)
	return on || (err != nil && value != "")
}

// Run executes one command line and returns the exit code. It ends early when ctx
// does, which means that the user interrupted.
func Run(ctx context.Context, p Process, args []string) int {
	a := &app{Process: p}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(p.Stdin)
	root.SetOut(p.Stdout)
	root.SetErr(p.Stderr)
	err := root.ExecuteContext(ctx)
	if closeErr := a.close(); err == nil {
		err = closeErr
	}
	return a.report(ctx, err)
}
