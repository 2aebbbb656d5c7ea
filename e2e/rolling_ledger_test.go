//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// ledger is what the replicas of the rolled service say that they executed, whichever
// replica it was: what runs on two of them was repeated by somebody.
type ledger struct {
	c       *cluster
	process *exec.Cmd
	ended   chan struct{}
	times   map[string]int // by request; to be read once ended is closed
}

// keepLedger follows the logs of the service.
func (c *cluster) keepLedger() *ledger {
	c.t.Helper()
	command := exec.CommandContext(context.Background(), binary(c.t, "runwayctl"), "--config", c.config, "logs", rollingService, "-f")
	output, err := command.StdoutPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	command.Stderr = os.Stderr
	if err := command.Start(); err != nil {
		c.t.Fatal(err)
	}
	l := &ledger{c: c, process: command, ended: make(chan struct{}), times: map[string]int{}}
	go l.read(output)
	c.t.Cleanup(func() { l.close() })
	return l
}

func (l *ledger) read(output io.Reader) {
	defer close(l.ended)
	for lines := bufio.NewScanner(output); lines.Scan(); {
		if _, id, ok := strings.Cut(lines.Text(), "executed "); ok {
			l.times[id]++
		}
	}
}

// close returns how often each request was executed.
func (l *ledger) close() map[string]int {
	if l.process != nil {
		if err := l.process.Process.Signal(syscall.SIGINT); err != nil {
			l.c.t.Errorf("stop following the logs: %v", err)
		}
		<-l.ended
		_ = l.process.Wait() // it was interrupted
		l.process = nil
	}
	return l.times
}

// once fails the test for every request that was executed more than once, and unless
// most of those that were asked for are known.
func (l *ledger) once(asked int64) {
	l.c.t.Helper()
	times := l.close()
	for id, n := range times {
		if n > 1 {
			l.c.t.Errorf("request %s was executed %d times", id, n)
		}
	}
	if asked == 0 || int64(len(times)) < asked*9/10 {
		l.c.t.Errorf("%d requests are known to be executed, and %d were asked for: nothing was shown", len(times), asked)
	}
	l.c.t.Logf("%d of %d slow requests are in the logs, each once", len(times), asked)
}

// slow is how many slow requests were asked for.
func (s loadSummary) slow() (asked int64) {
	for _, row := range s.Rows {
		if strings.Contains(row.Kind, "slow") {
			asked += row.Requests
		}
	}
	return asked
}
