//go:build failpoint

package failpoint

import (
	"fmt"
	"os"
	"slices"
)

// Planted is the point that this process breaks.
var Planted = named(os.Getenv(Variable))

// named panics over a name that nothing here breaks: what it was to show would not be.
func named(name string) Point {
	can := []Point{
		None, StopFirst, SkipAcknowledgement, SkipDrain, ReusePort, ForgetUndo, DrainTooMany, SucceedEarly, FailSilently,
		GiveUp, Miscount, SkipDraining, CountOnNobody, MakeTooMany,
	}
	if !slices.Contains(can, Point(name)) {
		panic(fmt.Sprintf("%s=%q: want one of %q", Variable, name, can))
	}
	return Point(name)
}
