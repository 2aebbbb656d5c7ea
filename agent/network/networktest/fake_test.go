package networktest_test

import (
	"errors"
	"testing"

	"github.com/runway-platform/runway/agent/network"
	"github.com/runway-platform/runway/agent/network/networktest"
)

var _ networktest.Network = (*network.Network)(nil)

func TestFake_Conformance(t *testing.T) {
	networktest.Conformance(t, networktest.New())
}

func TestFake_FailChangesNothing(t *testing.T) {
	f := networktest.New()
	boom := errors.New("boom")
	f.Fail(boom)
	if _, err := f.Attach(t.Context(), "a"); !errors.Is(err, boom) {
		t.Errorf("attach: got %v, want the injected error", err)
	}
	if err := f.Publish(t.Context(), nil); !errors.Is(err, boom) || len(f.Publishes()) != 0 {
		t.Errorf("publish: got %v and %v, want the injected error and no publish", err, f.Publishes())
	}
	f.Fail(nil)
	if _, err := f.Attach(t.Context(), "a"); err != nil {
		t.Errorf("attach after the failure: %v", err)
	}
}
