package space

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runway-platform/runway/provisioning"
	"github.com/runway-platform/runway/provisioning/provisioningtest"
)

// fakePart is there or not, and writes down what was done.
type fakePart struct {
	name  string
	there map[string]bool
	// slow is how many calls of Remove it takes to be gone.
	slow int
	done *[]string
	fail error
}

func (p *fakePart) Name() string { return p.name }

func (p *fakePart) Look(_ context.Context, space string) (bool, string, error) {
	return p.there[space], "", nil
}

func (p *fakePart) Make(ctx context.Context, space string) error {
	if p.fail != nil {
		return p.fail
	}
	if !p.there[space] {
		*p.done = append(*p.done, "make "+p.name)
	}
	p.there[space] = true
	return ctx.Err()
}

func (p *fakePart) Remove(_ context.Context, space string) error {
	*p.done = append(*p.done, "remove "+p.name)
	if p.slow--; p.slow < 0 {
		delete(p.there, space)
	}
	return nil
}

func newFake(names ...string) (*Provisioner, *[]string, []*fakePart) {
	done := &[]string{}
	var parts []Part
	var fakes []*fakePart
	for _, name := range names {
		part := &fakePart{name: name, there: map[string]bool{}, done: done}
		parts, fakes = append(parts, part), append(fakes, part)
	}
	return New(parts...), done, fakes
}

func TestProvisioner_Conformance(t *testing.T) {
	provisioningtest.Run(t, func(*testing.T) (provisioning.Provisioner, provisioning.Kind) {
		p, _, fakes := newFake("tokens", "services")
		fakes[1].slow = 2
		return p, provisioning.Space
	})
}

func TestProvisioner_MakesInOrderAndDestroysInReverse(t *testing.T) {
	p, done, fakes := newFake("tokens", "services")
	fakes[1].slow = 1
	request := provisioning.Request{Kind: provisioning.Space, Name: "one"}
	if _, err := p.Apply(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if _, err := p.Destroy(t.Context(), request); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"make tokens", "make services", "remove services", "remove services", "remove tokens"}
	if diff := cmp.Diff(want, *done); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

func TestProvisioner_FailureNamesThePartAndStops(t *testing.T) {
	p, done, fakes := newFake("tokens", "services", "repository")
	fakes[1].fail = errors.New("no room")
	_, err := p.Apply(t.Context(), provisioning.Request{Kind: provisioning.Space, Name: "one"})
	if !errors.Is(err, fakes[1].fail) || err.Error() != `make services of space "one": no room` {
		t.Errorf("got %v", err)
	}
	if slices.Contains(*done, "make repository") {
		t.Error("a part was made after one before it failed")
	}
}
