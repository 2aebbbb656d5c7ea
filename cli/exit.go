package cli

import (
	"strings"

	"github.com/runway-platform/runway/proto/code"
)

// Exit codes: a contract with scripts.
const (
	exitDone         = 0
	exitUsage        = 1
	exitRejected     = 2
	exitRolledBack   = 4
	exitFailed       = 5
	exitStillRunning = 6
	exitUnplaceable  = 7
	exitUnreachable  = 8
	exitDenied       = 9
	exitConflict     = 10
	exitOvertaken    = 11
	exitInterrupted  = 130
)

const usageCode = code.Usage

// exitOf lists the codes whose exit code is not that of their thousand.
var exitOf = map[code.Code]int{
	code.DeploymentSuperseded: exitOvertaken,
	code.DeploymentCancelled:  exitOvertaken,
	code.DeploymentGoesOn:     exitStillRunning,
	code.WaitEnded:            exitStillRunning,
	code.Interrupted:          exitInterrupted,
	code.ScaleOutOfBounds:     exitRejected,
	code.NothingDeployed:      exitRejected,
	code.NothingBefore:        exitRejected,
	code.RevisionNotFound:     exitRejected,
	code.ServiceDeleting:      exitConflict,
	code.Unplaceable:          exitUnplaceable,
	code.NodePortsExhausted:   exitUnplaceable,
	code.NoLeader:             exitUnreachable,
	code.Unreachable:          exitUnreachable,
	code.TooManyRequests:      exitUnreachable,
	code.Conflict:             exitConflict,
	code.SpaceExists:          exitConflict,
	code.Usage:                exitUsage,
}

// exitOfThousand holds for the other codes of a thousand: 1 deployment and
// replica, 2 placement, 3 image, 7 identity and rights, 8 manifest and names.
var exitOfThousand = map[string]int{
	"RW-2": exitRejected,
	"RW-3": exitRejected,
	"RW-7": exitDenied,
	"RW-8": exitRejected,
}

// exitFor is the exit code of a call that was refused with c.
func exitFor(c code.Code) int {
	if exit, ok := exitOf[c]; ok {
		return exit
	}
	for prefix, exit := range exitOfThousand {
		if strings.HasPrefix(string(c), prefix) {
			return exit
		}
	}
	return exitUsage
}
