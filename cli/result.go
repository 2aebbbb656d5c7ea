package cli

import (
	"context"
	"encoding/json"

	"github.com/runway-platform/runway/proto/code"
)

// result is the document of `deploy`, `restart` and `deployments attach`: one shape
// for success, failure and a wait that ended early.
type result struct {
	Space       string          `json:"space"`
	Service     string          `json:"service"`
	Environment string          `json:"environment"`
	Revision    uint64          `json:"revision"`
	Deployment  json.RawMessage `json:"deployment"`
	URLs        []string        `json:"urls"`
	Warnings    []string        `json:"warnings"`
	ExitCode    int             `json:"exit_code"`
	Error       *resultError    `json:"error"`
}

type resultError struct {
	Code     code.Code `json:"code"`
	Summary  string    `json:"summary"`
	Evidence []string  `json:"evidence"`
	Fix      string    `json:"fix"`
}

// showResult prints how the deployment went and returns outcome, so that the exit
// code is the same in every format. People get the addresses.
func (a *app) showResult(w *watch, warnings []string, outcome error) error {
	if a.structured() {
		return firstError(outcome, a.showDocument(w, warnings, outcome))
	}
	if outcome != nil {
		return outcome
	}
	return a.showTable(func(t *table) {
		for _, url := range w.urls {
			t.text(url)
		}
	})
}

func (a *app) showDocument(w *watch, warnings []string, outcome error) error {
	deployment := w.last.GetDeployment()
	encoded, err := encode(deployment)
	if err != nil {
		return err
	}
	r := result{
		Space: deployment.GetWorkload().GetSpace(), Service: deployment.GetWorkload().GetService(),
		Environment: deployment.GetWorkload().GetEnvironment(), Revision: deployment.GetSpec().GetRevision(),
		Deployment: encoded, URLs: notNil(w.urls), Warnings: notNil(warnings),
	}
	if outcome != nil {
		f := failureOf(context.Background(), outcome)
		r.ExitCode = f.exit
		r.Error = &resultError{Code: f.code, Summary: f.summary, Evidence: notNil(f.evidence), Fix: f.fix}
	}
	return a.showValue(r, nil)
}

func notNil(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
