package deployment

// surgePercent of the wanted replicas, rounded up and at least one, may exist
// beside the wanted number while a deployment rolls; none may be missing.
const surgePercent = 25

// Rolling replaces replicas a few at a time: new ones first, and an old one goes
// only when a new one serves in its place.
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
	if r.Old.Existing == 0 {
		// Nothing serves that could be disturbed.
		return Step{Region: r.Name, New: r.Wanted}
	}
	ahead := min(r.Wanted, r.New.Serving+surge(r.Wanted))
	return Step{
		Region: r.Name,
		New:    max(ahead, min(r.New.Existing, r.Wanted)),
		Old:    max(0, r.Wanted-r.New.Serving),
	}
}

func surge(wanted int) int {
	return max(1, (wanted*surgePercent+99)/100)
}
