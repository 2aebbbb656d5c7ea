package consensus

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/hashicorp/raft"

	"github.com/runway-platform/runway/coordinator/state"
)

// generationGap is added to every generation at a restore, so that clients of the
// time before never take the restored state for an older one. It is larger than
// the number of commands that a snapshot can lag behind.
const generationGap = 1_000_000

// Snapshot writes the present state of this member to w, in the format of Restore.
func (n *Node) Snapshot(w io.Writer) error {
	if err := n.failure.err(); err != nil {
		return fmt.Errorf("save snapshot: %w", err)
	}
	return n.store.View().Save(w)
}

// Restore replaces the state of the whole cluster by a snapshot, on the leader.
// The file is read and checked completely before anything changes; a damaged one,
// or one of another cluster, is refused with a *Fault. The restored state has the
// incarnation given here and generations above all that were seen before.
func (n *Node) Restore(ctx context.Context, from io.Reader, incarnation string) error {
	content, index, err := n.rebase(from, incarnation)
	if err != nil {
		return fmt.Errorf("restore snapshot: %w", err)
	}
	meta := &raft.SnapshotMeta{Version: raft.SnapshotVersionMax, Index: index, Size: int64(content.Len())}
	if err := wait(ctx, n.restoring(ctx, meta, content)); err != nil {
		return fmt.Errorf("restore snapshot: %w", err)
	}
	return nil
}

// rebase reads a snapshot aside and writes it again for its new life.
func (n *Node) rebase(from io.Reader, incarnation string) (*bytes.Buffer, uint64, error) {
	aside := state.New()
	if err := aside.Load(from); err != nil {
		return nil, 0, &Fault{Code: codeSnapshot, Err: err}
	}
	restored, present := aside.View(), n.store.View()
	if err := checkOrigin(restored, present); err != nil {
		return nil, 0, err
	}
	// Both the snapshot and the present state may be the newer one.
	index := max(restored.Index(), present.Index())
	base := max(restored.Cluster().GetGenerationBase(), present.Cluster().GetGenerationBase())
	err := aside.Update(index, time.Now(), func(tx *state.Tx) error {
		cluster := state.Clone(tx.Cluster())
		cluster.Incarnation = incarnation
		cluster.GenerationBase = base + generationGap
		tx.PutCluster(cluster)
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	content := &bytes.Buffer{}
	return content, index, aside.View().Save(content)
}

// checkOrigin refuses the snapshot of another cluster. A new cluster without any
// content yet takes on the identity of the snapshot.
func checkOrigin(restored, present *state.View) error {
	if restored.Cluster() == nil {
		return fault(codeSnapshot, "the snapshot is of no cluster")
	}
	theirs, ours := restored.Cluster().GetId(), present.Cluster().GetId()
	if present.Cluster() != nil && theirs != ours {
		return fault(codeSnapshot, "the snapshot is of cluster %q, this is %q", theirs, ours)
	}
	return nil
}

// restoring starts raft's restore, which blocks, as a future.
func (n *Node) restoring(ctx context.Context, meta *raft.SnapshotMeta, content io.Reader) raft.Future {
	return restoreFuture(func() error {
		deadline, ok := ctx.Deadline()
		if !ok {
			return n.raft.Restore(meta, content, applyTimeout)
		}
		return n.raft.Restore(meta, content, max(time.Until(deadline), 1))
	})
}

// restoreFuture is a blocking call that is waited for like raft's own futures.
type restoreFuture func() error

// Error implements raft.Future.
func (f restoreFuture) Error() error { return f() }
