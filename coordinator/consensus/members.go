package consensus

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
)

// Member is one coordinator of the cluster.
type Member struct {
	ID      string
	Address string
	// Voter takes part in decisions; others only follow.
	Voter  bool
	Leader bool
}

// Leader returns the address of the leader, empty while there is none, and whether
// that is this member.
func (n *Node) Leader() (address string, isLeader bool) {
	leader, _ := n.raft.LeaderWithID()
	return string(leader), n.raft.State() == raft.Leader
}

// Age is how long this member has not heard of the leader, which bounds how far its
// state may be behind; 0 while it leads itself. It is the time since the start of a
// member that has never heard of one.
func (n *Node) Age() time.Duration {
	if n.raft.State() == raft.Leader {
		return 0
	}
	last := n.raft.LastContact()
	if last.IsZero() {
		last = n.started
	}
	return time.Since(last)
}

// LeaderChanges delivers true when this member begins to lead and false when it
// ends. A slow receiver sees the latest change only. There is one receiver.
func (n *Node) LeaderChanges() <-chan bool { return n.raft.LeaderCh() }

// Members returns all coordinators, in the order in which they joined.
func (n *Node) Members() ([]Member, error) {
	future := n.raft.GetConfiguration()
	if err := future.Error(); err != nil {
		return nil, fmt.Errorf("list members: %w", translate(err))
	}
	_, leader := n.raft.LeaderWithID()
	var members []Member
	for _, server := range future.Configuration().Servers {
		members = append(members, Member{
			ID:      string(server.ID),
			Address: string(server.Address),
			Voter:   server.Suffrage == raft.Voter,
			Leader:  server.ID == leader,
		})
	}
	return members, nil
}

func (n *Node) otherVoters() []Member {
	members, err := n.Members()
	if err != nil {
		return nil
	}
	var others []Member
	for _, member := range members {
		if member.Voter && !member.Leader {
			others = append(others, member)
		}
	}
	return others
}

// AddNonvoter adds a member that receives the log and does not decide, or changes
// its address. A new member begins so, until it has caught up.
func (n *Node) AddNonvoter(ctx context.Context, id, address string) error {
	future := n.raft.AddNonvoter(raft.ServerID(id), raft.ServerAddress(address), 0, applyTimeout)
	if err := wait(ctx, future); err != nil {
		return fmt.Errorf("add member %q: %w", id, err)
	}
	return nil
}

// AddVoter makes a member one of those whose majority decides.
func (n *Node) AddVoter(ctx context.Context, id, address string) error {
	future := n.raft.AddVoter(raft.ServerID(id), raft.ServerAddress(address), 0, applyTimeout)
	if err := wait(ctx, future); err != nil {
		return fmt.Errorf("add voter %q: %w", id, err)
	}
	return nil
}

// Remove takes a member out of the cluster.
func (n *Node) Remove(ctx context.Context, id string) error {
	if err := wait(ctx, n.raft.RemoveServer(raft.ServerID(id), 0, applyTimeout)); err != nil {
		return fmt.Errorf("remove member %q: %w", id, err)
	}
	return nil
}

// TransferLeadership makes another voter, the one that is furthest, the leader.
func (n *Node) TransferLeadership(ctx context.Context) error {
	if err := wait(ctx, n.raft.LeadershipTransfer()); err != nil {
		return fmt.Errorf("transfer leadership: %w", err)
	}
	return nil
}
