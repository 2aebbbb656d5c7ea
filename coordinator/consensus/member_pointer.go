package consensus

import (
	"sync/atomic"

	"github.com/hashicorp/raft"
)

// memberPointer is the member that gauges look at, if any.
type memberPointer struct{ atomic.Pointer[raft.Raft] }

func (p *memberPointer) leads() float64 {
	if member := p.Load(); member != nil && member.State() == raft.Leader {
		return 1
	}
	return 0
}

func (p *memberPointer) lastIndex() float64 {
	if member := p.Load(); member != nil {
		return float64(member.LastIndex())
	}
	return 0
}
