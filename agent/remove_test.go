package agent

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/runway-platform/runway/agent/runtime"
)

// removed records what is taken away, in its order; what it is told to fail fails.
type removed struct {
	containers []runtime.Container
	fails      map[string]error
	order      []string
}

func (r *removed) take(what string) error {
	r.order = append(r.order, what)
	return r.fails[what]
}

func (r *removed) List(context.Context) ([]runtime.Container, error) {
	return r.containers, r.take("list")
}
func (r *removed) Delete(_ context.Context, id runtime.ContainerID) error { return r.take(string(id)) }
func (r *removed) Remove(context.Context) error                           { return r.take("runtime") }
func (r *removed) Teardown(context.Context) error                         { return r.take("network") }

func TestRemove_TakesAwayInOrderAndGoesOnAfterAnError(t *testing.T) {
	t.Parallel()
	stuck, busy := errors.New("stuck"), errors.New("busy")
	r := &removed{
		containers: []runtime.Container{{ID: "a-0"}, {ID: "b-0"}},
		fails:      map[string]error{"a-0": stuck, "runtime": busy},
	}
	err := Remove(t.Context(), r, r)
	if want := []string{"list", "a-0", "b-0", "runtime", "network"}; !slices.Equal(r.order, want) {
		t.Errorf("order %v, want %v", r.order, want)
	}
	if !errors.Is(err, stuck) || !errors.Is(err, busy) {
		t.Errorf("got %v, want both errors", err)
	}
}

// Nothing is taken away while nobody knows what runs: networks under replicas that
// are still there would be cut.
func TestRemove_WithoutAListTouchesNothing(t *testing.T) {
	t.Parallel()
	away := errors.New("away")
	r := &removed{fails: map[string]error{"list": away}}
	if err := Remove(t.Context(), r, r); !errors.Is(err, away) || len(r.order) != 1 {
		t.Errorf("got %v after %v", err, r.order)
	}
}
