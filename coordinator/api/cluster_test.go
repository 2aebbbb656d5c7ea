package api

import (
	"testing"
	"time"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// A client compares its clock with that of the coordinator that answered.
func TestInfo_TellsTheTimeOfTheCoordinator(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	asked := time.Now()
	info, err := runwayv1.NewClusterAPIClient(b.as(viewer)).Info(testContext(t), &runwayv1.InfoRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if at := info.GetNow().AsTime(); at.Before(asked) || at.After(time.Now()) {
		t.Errorf("its time is %s, asked between %s and %s", at, asked, time.Now())
	}
}
