package containerd

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestTurns_OneByOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns()
		running, most := 0, 0
		for range 5 {
			go func() {
				release, err := turns.take(t.Context(), "app")
				if err != nil {
					t.Error(err)
					return
				}
				running++
				most = max(most, running)
				time.Sleep(time.Second)
				running--
				release()
			}()
		}
		begun := time.Now()
		time.Sleep(4500 * time.Millisecond)
		release, err := turns.take(t.Context(), "app")
		if took := time.Since(begun); err != nil || took != 5*time.Second || most != 1 {
			t.Errorf("sixth caller: turn after %v, %v, with %d at once; want after 5s, 1 at once", took, err, most)
		}
		release()
		if len(turns.busy) != 0 {
			t.Errorf("turns left: %v", turns.busy)
		}
	})
}

func TestTurns_WaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	turns := newTurns()
	release, err := turns.take(t.Context(), "app")
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := turns.take(ctx, "app"); !errors.Is(err, context.Canceled) {
		t.Errorf("second caller: got %v, want %v", err, context.Canceled)
	}
	other, err := turns.take(t.Context(), "other")
	if err != nil {
		t.Fatalf("another key: %v", err)
	}
	other()
}
