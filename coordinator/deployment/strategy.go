package deployment

import (
	"fmt"
	"slices"
	"strings"
)

// Strategy decides the next step of a deployment from how far it is. It is pure,
// so that the same step can be shown before, tested and executed. It never judges:
// a step that fails is undone by the engine, whatever the strategy.
type Strategy interface {
	// Plan returns the sizes that both sets should have now, for each region of
	// the view. It is called again after every change.
	Plan(View) []Step
}

// View is what a strategy may look at.
type View struct {
	Regions []Region
}

// Region is the state of a deployment in one region.
type Region struct {
	Name string
	// Wanted is how many new replicas there are to be in the end.
	Wanted int
	// Before is how many replicas the workload is whole with without the
	// deployment; 0 when nothing served before it.
	Before int
	// New are the replicas that the deployment made, Old all others: those of the
	// revision to go back to, and those of deployments that were superseded.
	New, Old Set
}

// Set counts replicas that are meant to serve.
type Set struct {
	// Existing replicas have a node.
	Existing int
	// Serving replicas pass their probes and are confirmed by every live ingress.
	Serving int
}

// Step is the size of both sets in a region.
type Step struct {
	Region   string
	New, Old int
	Floor    Floor
}

// Floor is what is kept of the set that leaves. Sizes are decided on a look of a
// moment ago; a floor holds at the moment at which placement takes a replica. It is in
// parts of the workload's work, of which each replica does the share that its own
// revision's size gives it. The zero Floor keeps nothing.
type Floor struct {
	// Keep is what the set does while the other does nothing.
	Keep float64
	// Relief is what the other has to do before nothing is kept.
	Relief float64
}

// DefaultStrategy is used when none is named.
const DefaultStrategy = "rolling"

// strategies is the one list of what can be named.
var strategies = map[string]Strategy{
	DefaultStrategy: Rolling{},
}

// Lookup returns the strategy of a name; the error lists the names there are.
func Lookup(name string) (Strategy, error) {
	if name == "" {
		name = DefaultStrategy
	}
	if s, ok := strategies[name]; ok {
		return s, nil
	}
	return nil, fmt.Errorf("there is no strategy %q: choose one of %s", name, strings.Join(Names(), ", "))
}

// Names returns the names of all strategies, sorted.
func Names() []string {
	names := make([]string, 0, len(strategies))
	for name := range strategies {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
