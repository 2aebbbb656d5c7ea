// Package failpoint is the one list of promises that are broken on purpose, to show
// that the checker of each turns red. The simulation breaks any of them; processes do
// it when they are built with the tag of that name, and a product is not: Planted is
// a constant there, so that nothing of it is left in the program.
package failpoint

// Point is a way to break a promise.
type Point string

// The points. The simulation can break all of them, a process those that on.go lists.
const (
	None Point = ""
	// StopFirst stops a replica as soon as it drains, confirmed or not.
	StopFirst Point = "stop-first"
	// SkipAcknowledgement lets ingresses confirm a set before they route by it.
	SkipAcknowledgement Point = "skip-acknowledgement"
	// SkipDrain takes replicas for drained while requests are in flight.
	SkipDrain Point = "skip-drain"
	// ReusePort frees node ports while a lost ingress may still use them.
	ReusePort Point = "reuse-port"
	// ForgetUndo ends a failed deployment without bringing the old revision back.
	ForgetUndo Point = "forget-undo"
	// DrainTooMany tells everything of a workload to go, together with the first.
	DrainTooMany Point = "drain-too-many"
	// SucceedEarly calls a deployment successful at its first step.
	SucceedEarly Point = "succeed-early"
	// FailSilently ends a failed deployment without a cause.
	FailSilently Point = "fail-silently"
	// NeverEnd lets the deployment controller fall asleep.
	NeverEnd Point = "never-end"
	// TwoContents publishes two sets with one generation.
	TwoContents Point = "two-contents"
	// OldRoutes sends an ingress a set that is older than what it has.
	OldRoutes Point = "old-routes"
	// TwoOwners lets two nodes run the same replica.
	TwoOwners Point = "two-owners"
	// ReuseID gives a new replica the ID of one that is forgotten.
	ReuseID Point = "reuse-id"
	// GiveUp ends a failed deployment as failed, with everything as it is.
	GiveUp Point = "give-up"
	// Miscount notes another number than served when a deployment began.
	Miscount Point = "miscount"
	// SkipDraining stops replicas that are to drain.
	SkipDraining Point = "skip-draining"
	// CountOnNobody lets replicas go whatever became of the others since the look.
	CountOnNobody Point = "count-on-nobody"
	// MakeTooMany makes two replicas for each that is missing.
	MakeTooMany Point = "make-too-many"
)

// Variable is the environment variable that names the point, in a process that is
// built for it.
const Variable = "RUNWAY_FAILPOINT"
