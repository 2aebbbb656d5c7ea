package cli

import (
	"bufio"
	"fmt"
	"strings"

	"github.com/runway-platform/runway/proto/code"
	"github.com/spf13/cobra"
)

// confirm asks on a terminal, takes --yes for an answer, and refuses elsewhere.
func (a *app) confirm(cmd *cobra.Command, what string) error {
	if a.globals.yes {
		return nil
	}
	if !a.StdinTerminal {
		return usagef(cmd, "%s: add --yes, as there is no terminal to ask on", what)
	}
	if _, err := fmt.Fprintf(a.Stderr, "%s? [y/N] ", what); err != nil {
		return err
	}
	answer, err := bufio.NewReader(a.Stdin).ReadString('\n')
	if err != nil && answer == "" {
		return notConfirmed("no answer")
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return notConfirmed("not confirmed")
}

// notConfirmed ends a command as an interrupt would: nothing was done.
func notConfirmed(why string) error {
	return &failure{exit: exitInterrupted, code: code.Interrupted, summary: why}
}

// done is the document of a command without an answer of its own.
type done struct {
	Result  string `json:"result"`
	Subject string `json:"subject"`
}

// showDone says that something was done: "deleted default/web in production".
func (a *app) showDone(result, subject string) error {
	return a.showValue(done{result, subject}, func(t *table) { t.text(result + " " + subject) })
}
