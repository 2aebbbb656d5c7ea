package deployment

import "github.com/runway-platform/runway/coordinator/fleet"

// surgePercent of the wanted replicas, rounded up and at least one, may exist
// beside the wanted number while a deployment rolls; none may be missing.
const surgePercent = 25

// Rolling replaces replicas a few at a time: new ones first, and an old one goes
// only when a new one serves in its place. An old one that is lost on the way is
// replaced by a new one.
type Rolling struct{}

// Strategy

// Plan implements Strategy.
func (Rolling) Plan(view View) []Step {
	steps := make([]Step, 0, len(view.Regions))
	for _, r := range view.Regions {
		steps = append(steps, rollingStep(r))
	}
	return steps
}

func rollingStep(r Region) Step {
	ahead := surge(r.Wanted) + max(r.New.Serving, r.Wanted-r.Old.Existing)
	return Step{
		Region: r.Name,
		New:    min(r.Wanted, max(ahead, r.New.Existing)),
		Old:    min(r.Old.Existing, fleet.Share(max(r.Before, r.Wanted), r.Wanted, r.New.Serving)),
		Floor:  Floor{Keep: 1, Relief: 1},
	}
}

func surge(wanted int) int {
	return max(1, (wanted*surgePercent+99)/100)
}
