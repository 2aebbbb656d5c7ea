package cli

import (
	"fmt"
	"strings"
	"time"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// word is the last part of an enum value in lower case: PHASE_ROLLED_BACK with the
// prefix PHASE_ becomes "rolled back".
func word(value, prefix string) string {
	return strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(value, prefix), "_", " "))
}

func deploymentPhase(p runwayv1.DeploymentPhase) string { return word(p.String(), "DEPLOYMENT_PHASE_") }

func replicaPhase(p runwayv1.ReplicaPhase) string { return word(p.String(), "REPLICA_PHASE_") }

func nodePhase(n *runwayv1.Node) string {
	text := word(n.GetStatus().GetPhase().String(), "NODE_PHASE_")
	if n.GetSpec().GetCordoned() {
		text += ", cordoned"
	}
	return text
}

func roleName(r runwayv1.Role) string {
	return strings.ReplaceAll(word(r.String(), "ROLE_"), " ", "-")
}

// roleOf finds a role by its name.
func roleOf(name string) (runwayv1.Role, bool) {
	value, ok := runwayv1.Role_value["ROLE_"+strings.ToUpper(strings.ReplaceAll(name, "-", "_"))]
	return runwayv1.Role(value), ok && value != 0
}

// age is the time since t in one or two units.
func (a *app) age(t *timestamppb.Timestamp) string {
	if !t.IsValid() || t.AsTime().Unix() == 0 {
		return ""
	}
	return span(a.Now().Sub(t.AsTime()))
}

// span rounds a duration to what people read.
func span(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

// size is a number of bytes in binary units.
func size(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	value, unit := float64(n), 0
	for value >= 1024 && unit < len(units)-1 {
		value, unit = value/1024, unit+1
	}
	if unit == 0 || value == float64(int64(value)) {
		return fmt.Sprintf("%d %s", int64(value), units[unit])
	}
	return fmt.Sprintf("%.1f %s", value, units[unit])
}

func cores(milli int64) string { return fmt.Sprintf("%.4g", float64(milli)/1000) }

func count(n int, singular, plural string) string {
	if n == 1 {
		return "1 " + singular
	}
	return fmt.Sprintf("%d %s", n, plural)
}

func stamp(t *timestamppb.Timestamp) string {
	if !t.IsValid() {
		return ""
	}
	return t.AsTime().UTC().Format(time.RFC3339)
}

func number[N ~uint32 | ~uint64 | ~int | ~int32 | ~int64](n N) string { return fmt.Sprintf("%d", n) }

// shortImage leaves out most of a digest.
func shortImage(image *runwayv1.Image) string {
	const digits = 12
	name := firstNonEmpty(image.GetResolved(), image.GetReference())
	at := strings.Index(name, "@sha256:")
	if at < 0 || len(name) < at+len("@sha256:")+digits {
		return name
	}
	return name[:at+len("@sha256:")+digits]
}

// serviceName is how people write a workload: the space and environment of the
// command line are left out.
func (a *app) serviceName(key *runwayv1.WorkloadKey) string {
	name := key.GetService()
	if key.GetSpace() != a.globals.space {
		name = key.GetSpace() + "/" + name
	}
	return name
}

// key is the workload of a service named on the command line.
func (a *app) key(service string) *runwayv1.WorkloadKey {
	return &runwayv1.WorkloadKey{Space: a.globals.space, Service: service, Environment: a.globals.environment}
}
