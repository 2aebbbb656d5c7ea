package loop

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

func TestGuard_SaysOnceWhoIsPassedOver(t *testing.T) {
	var log strings.Builder
	g := NewGuard("placement", slog.New(slog.NewTextHandler(&log, nil)))
	key := &runwayv1.WorkloadKey{Space: "default", Service: "web", Environment: "production"}
	bad := func() bool { return g.Do(key, func() { panic("index out of range") }) }
	good := func() bool { return g.Do(key, func() {}) }

	if bad() || bad() {
		t.Error("a panic came to its end")
	}
	said := g.Events()
	if len(said) != 1 {
		t.Fatalf("said %v, want one command", said)
	}
	events := said[0].(*runwayv1.RecordEvents).GetEvents()
	want := "placement passes this service over, because of a defect: index out of range"
	if len(events) != 1 || events[0].GetMessage() != want || events[0].GetKind() != "workload.quarantined" || events[0].GetCode() != "RW-6009" {
		t.Errorf("said %v, want once %q", events, want)
	}
	if !strings.Contains(log.String(), "guard_test.go") {
		t.Errorf("the log has no stack: %s", log.String())
	}
	if bad(); g.Events() != nil {
		t.Error("the same defect was said twice")
	}
	if !good() {
		t.Error("a look without a defect did not come to its end")
	}
}

// A controller asks about one workload several times in a look: once for each of its
// replicas, of which one has the defect.
func TestGuard_SaysNothingNewWhileAnyPartOfTheWorkloadTrips(t *testing.T) {
	g := NewGuard("reaper", slog.New(slog.DiscardHandler))
	key := &runwayv1.WorkloadKey{Space: "default", Service: "web", Environment: "production"}
	said := 0
	for look := range 20 {
		g.Do(key, func() { panic(fmt.Sprintf("replica a, look %d", look)) })
		g.Do(key, func() {})
		g.Do(key, func() { panic("replica c") })
		g.Do(key, func() {})
		said += len(g.Events())
	}
	if said != 1 {
		t.Errorf("said %d times, want once", said)
	}
}

func TestGuard_SaysADefectThatComesAndGoesAtMostOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGuard("reaper", slog.New(slog.DiscardHandler))
		key := &runwayv1.WorkloadKey{Space: "default", Service: "web", Environment: "production"}
		var at []time.Duration
		for begin := time.Now(); time.Since(begin) < 3*time.Minute; time.Sleep(time.Second) { // virtual
			g.Do(key, func() {
				if time.Since(begin)/time.Second%2 == 0 {
					panic("index out of range")
				}
			})
			if len(g.Events()) > 0 {
				at = append(at, time.Since(begin))
			}
		}
		if want := []time.Duration{0, time.Minute, 2 * time.Minute}; !slices.Equal(at, want) {
			t.Errorf("said after %v, want %v", at, want)
		}
	})
}

// What a controller writes about a defect wakes nobody again and again: the log of
// the cluster would be full of it.
func TestRun_ADefectThatStaysIsWrittenOnce(t *testing.T) {
	g := NewGuard("reaper", slog.New(slog.DiscardHandler))
	key := &runwayv1.WorkloadKey{Space: "default", Service: "web", Environment: "production"}
	at := looks(t, 55*time.Second, fine, func(int) []proto.Message {
		g.Do(key, func() { panic("replica a") })
		g.Do(key, func() {})
		return g.Events()
	})
	if want := 1 + 6; len(at) != want {
		t.Errorf("looked %d times, want %d: once more after the event, then at each resync", len(at), want)
	}
}
