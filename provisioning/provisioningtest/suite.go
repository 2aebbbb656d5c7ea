// Package provisioningtest holds every provisioner to the same promises.
package provisioningtest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/runway-platform/runway/provisioning"
)

// patience bounds how often a provisioner may ask to be called again.
const patience = 20

// Run checks the contract. start returns a fresh provisioner with nothing made,
// and the kind that it makes.
func Run(t *testing.T, start func(t *testing.T) (provisioning.Provisioner, provisioning.Kind)) {
	t.Run("Plan changes nothing", func(t *testing.T) {
		p, kind := start(t)
		request := provisioning.Request{Kind: kind, Name: "one"}
		first := plan(t, p, request, false)
		second := plan(t, p, request, false)
		if len(first) == 0 || len(first) != len(second) || first[0] != second[0] {
			t.Errorf("two plans differ: %v, %v", first, second)
		}
		for _, step := range first {
			if step.Action != provisioning.Create {
				t.Errorf("step %v of something that does not exist: want create", step)
			}
		}
	})
	t.Run("Apply makes every part and can be repeated", func(t *testing.T) {
		p, kind := start(t)
		request := provisioning.Request{Kind: kind, Name: "one"}
		for range 2 {
			apply(t, p, request)
		}
		for _, step := range plan(t, p, request, false) {
			if step.Action != provisioning.Keep {
				t.Errorf("step %v after Apply: want keep", step)
			}
		}
	})
	t.Run("Destroy leaves nothing and can be repeated", func(t *testing.T) {
		p, kind := start(t)
		request := provisioning.Request{Kind: kind, Name: "one"}
		apply(t, p, request)
		for range 2 {
			destroy(t, p, request)
		}
		if left := plan(t, p, request, true); len(left) != 0 {
			t.Errorf("left after Destroy: %v", left)
		}
	})
	t.Run("Destroy takes only what was named", func(t *testing.T) {
		p, kind := start(t)
		apply(t, p, provisioning.Request{Kind: kind, Name: "one"})
		apply(t, p, provisioning.Request{Kind: kind, Name: "one-two"})
		destroy(t, p, provisioning.Request{Kind: kind, Name: "one"})
		for _, step := range plan(t, p, provisioning.Request{Kind: kind, Name: "one-two"}, false) {
			if step.Action != provisioning.Keep {
				t.Errorf("step %v of a neighbour: want keep", step)
			}
		}
	})
	t.Run("Foreign kinds are refused", func(t *testing.T) {
		p, _ := start(t)
		_, err := p.Apply(t.Context(), provisioning.Request{Kind: "no-such-kind", Name: "one"})
		if !errors.Is(err, provisioning.ErrKind) {
			t.Errorf("got %v, want ErrKind", err)
		}
	})
	t.Run("An ended context ends the call", func(t *testing.T) {
		p, kind := start(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = p.Apply(ctx, provisioning.Request{Kind: kind, Name: "one"}) // only its end matters
		}()
		select {
		case <-done:
		case <-time.After(5 * time.Second):
			t.Error("Apply did not return")
		}
	})
}

func plan(t *testing.T, p provisioning.Provisioner, request provisioning.Request, gone bool) []provisioning.Step {
	t.Helper()
	steps, err := p.Plan(t.Context(), request, gone)
	if err != nil {
		t.Fatalf("Plan(%v): %v", request, err)
	}
	return steps
}

func apply(t *testing.T, p provisioning.Provisioner, request provisioning.Request) {
	t.Helper()
	for range patience {
		parts, err := p.Apply(t.Context(), request)
		if err != nil {
			t.Fatalf("Apply(%v): %v", request, err)
		}
		if allReady(parts) {
			return
		}
	}
	t.Fatalf("Apply(%v): not ready after %d calls", request, patience)
}

func destroy(t *testing.T, p provisioning.Provisioner, request provisioning.Request) {
	t.Helper()
	for range patience {
		parts, err := p.Destroy(t.Context(), request)
		if err != nil {
			t.Fatalf("Destroy(%v): %v", request, err)
		}
		if len(parts) == 0 {
			return
		}
	}
	t.Fatalf("Destroy(%v): parts are left after %d calls", request, patience)
}

func allReady(parts []provisioning.Part) bool {
	for _, part := range parts {
		if !part.Ready {
			return false
		}
	}
	return len(parts) > 0
}
