package dns

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

func TestFollower_BuildsOncePerSet(t *testing.T) {
	t.Parallel()
	set := &runwayv1.RouteSet{Full: true}
	var log bytes.Buffer
	f := Follow(func() *runwayv1.RouteSet { return set }, slog.New(slog.NewTextHandler(&log, nil)))
	if f.Records() != nil {
		t.Error("records without a set")
	}
	set = example()
	set.Ingresses[0].PublicAddresses[0] = "odd"
	first := f.Records()
	if first == nil || first.generation != 7 {
		t.Fatalf("got %v, want generation 7", first)
	}
	if f.Records() != first {
		t.Error("built again for the same set")
	}
	if n := strings.Count(log.String(), "record left out"); n != 1 {
		t.Errorf("problem logged %d times: %s", n, log.String())
	}
	set = example()
	set.Generation = 8
	if got := f.Records().generation; got != 8 {
		t.Errorf("got generation %d after the change, want 8", got)
	}
}

// No question that begins after a set is in use sees an older one.
func TestFollower_NeverGoesBack(t *testing.T) {
	t.Parallel()
	const generations = 300
	var inUse atomic.Pointer[runwayv1.RouteSet]
	put := func(generation uint64) {
		set := example()
		set.Generation = generation
		inUse.Store(set)
	}
	put(1)
	f := Follow(inUse.Load, testLog(t))
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				atLeast := inUse.Load().GetGeneration()
				if got := f.Records().generation; got < atLeast {
					t.Errorf("got generation %d while %d was in use", got, atLeast)
					return
				}
				if atLeast == generations {
					return
				}
			}
		})
	}
	for generation := range uint64(generations) {
		put(generation + 1)
	}
	readers.Wait()
}
