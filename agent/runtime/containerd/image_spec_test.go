package containerd

import (
	"fmt"
	"testing"

	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/runtime-spec/specs-go"
)

func processOf(user uint32) *oci.Spec {
	return &oci.Spec{Process: &specs.Process{
		Args: []string{"/app"}, Env: []string{"PATH=/bin"}, Cwd: "/srv", User: specs.User{UID: user, AdditionalGids: []uint32{7}},
	}}
}

func TestImageSpec_AppliesWhatWasRead(t *testing.T) {
	t.Parallel()
	want := processOf(10)
	got := &oci.Spec{Process: &specs.Process{Cwd: "/", User: specs.User{UID: 1}}}
	imageSpecOf(want).apply(got)
	if diff := cmp.Diff(want.Process, got.Process); diff != "" {
		t.Errorf("process (-want +got):\n%s", diff)
	}
}

// One container's environment must never reach the next one.
func TestImageSpec_SharesNothing(t *testing.T) {
	t.Parallel()
	first := processOf(10)
	kept := imageSpecOf(first)
	change := func(s *oci.Spec) {
		s.Process.Env[0], s.Process.Args[0], s.Process.User.AdditionalGids[0] = "SECRET=1", "/evil", 0
		s.Process.Env = append(s.Process.Env, "MORE=1")
	}
	change(first)
	second := processOf(0)
	kept.apply(second)
	change(second)
	third := processOf(0)
	kept.apply(third)
	if diff := cmp.Diff(processOf(10).Process, third.Process); diff != "" {
		t.Errorf("process (-want +got):\n%s", diff)
	}
}

func TestImageSpecs_AreBounded(t *testing.T) {
	t.Parallel()
	known := newImageSpecs()
	for n := range 2*maxImageSpecs + 1 {
		known.put(fmt.Sprint(n), imageSpec{cwd: fmt.Sprint(n)})
		if got, ok := known.get(fmt.Sprint(n)); !ok || got.cwd != fmt.Sprint(n) {
			t.Fatalf("image %d: got %v, %t", n, got, ok)
		}
	}
	if len(known.known) > maxImageSpecs {
		t.Errorf("got %d images, want at most %d", len(known.known), maxImageSpecs)
	}
	if _, ok := known.get("never"); ok {
		t.Error("an image that was never read is known")
	}
}
