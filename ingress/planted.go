package ingress

import (
	"time"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// plantedDelay is how long a set is confirmed that is not in use.
const plantedDelay = 500 * time.Millisecond

// confirmFirst is a defect on purpose, of processes that are built with failpoints: it
// confirms a set, and goes on with the one before for a while.
func (f *following) confirmFirst(set *runwayv1.RouteSet) error {
	err := f.send(&runwayv1.IngressMessage{Message: &runwayv1.IngressMessage_Ack{Ack: &runwayv1.RouteAck{
		Incarnation: set.GetIncarnation(), Generation: set.GetGeneration(), Saved: set.GetGeneration(),
	}}})
	<-time.After(plantedDelay)
	return err
}
