package coordinatortest

import (
	"github.com/runway-platform/runway/coordinator/command"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// Refused returns the items that a command left out, by replica, with the reason.
func Refused(result command.Result) map[string]string {
	refusals, ok := result.Value.(*runwayv1.Refusals)
	if !ok {
		return nil
	}
	refused := map[string]string{}
	for _, refusal := range refusals.GetRefused() {
		refused[refusal.GetReplica()] = refusal.GetCode() + " " + refusal.GetReason()
	}
	return refused
}
