package cli

import (
	"context"
	"fmt"
	"time"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"
)

// joinFlags are the flags of `nodes join-token`.
type joinFlags struct {
	role, pool string
	uses       uint32
	ttl        time.Duration
}

// defaultJoinTTL is long enough to set a machine up by hand.
const defaultJoinTTL = time.Hour

func (a *app) nodesCommand() *cobra.Command {
	var flags joinFlags
	list := &cobra.Command{
		Use: "list", Short: "List nodes with what is reserved on them", Args: exactly(), Example: "  runwayctl nodes list -o wide",
		RunE: func(cmd *cobra.Command, _ []string) error { return a.listNodes(cmd.Context()) },
	}
	join := &cobra.Command{
		Use: "join-token", Short: "Make a token that a new machine joins with", Args: exactly(),
		Long:    "Join-token prints a token once. The machine's process is started with it and pins the cluster's CA by it.",
		Example: "  runwayctl nodes join-token\n  runwayctl nodes join-token --role ingress --ttl 10m",
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.joinToken(cmd.Context(), cmd, flags) },
	}
	f := join.Flags()
	f.StringVar(&flags.role, "role", "node", "node, ingress or coordinator")
	f.StringVar(&flags.pool, "pool", "", "pool of the node")
	f.Uint32Var(&flags.uses, "uses", 1, "machines that may join with it")
	f.DurationVar(&flags.ttl, "ttl", defaultJoinTTL, "how long it is valid")
	return noun("nodes", "List nodes and let machines join", list, join)
}

func (a *app) listNodes(ctx context.Context) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	reply, err := ask(ctx, c.nodes.ListNodes, &runwayv1.ListNodesRequest{})
	if err != nil {
		return err
	}
	return a.show(reply, func(t *table) {
		if len(reply.GetNodes()) == 0 {
			t.text("No nodes. Let one join: runwayctl nodes join-token")
			return
		}
		t.row(append([]string{"NODE", "STATE", "REPLICAS", "CPU RESERVED", "MEMORY RESERVED", "LAST BEAT"}, t.only("ID", "ADDRESS", "REGION", "POOL", "AGENT", "RUNTIME", "KERNEL")...)...)
		for _, view := range reply.GetNodes() {
			facts := view.GetNode().GetFacts()
			t.row(append([]string{
				view.GetNode().GetName(), nodePhase(view.GetNode()), number(view.GetReplicas()),
				fmt.Sprintf("%s of %s", cores(view.GetReservedCpuMilli()), cores(facts.GetAllocatableCpuMilli())),
				fmt.Sprintf("%s of %s", size(view.GetReservedMemoryBytes()), size(facts.GetAllocatableMemoryBytes())),
				ago(a.age(view.GetLastBeat())),
			}, t.only(view.GetNode().GetId(), facts.GetAddress(), facts.GetRegion(), facts.GetPool(), facts.GetAgentVersion(), facts.GetRuntimeVersion(), facts.GetKernelVersion())...)...)
		}
	})
}

func ago(age string) string {
	if age == "" {
		return ""
	}
	return age + " ago"
}

func (a *app) joinToken(ctx context.Context, cmd *cobra.Command, flags joinFlags) error {
	role, ok := roleOf(flags.role)
	if !ok || role > runwayv1.Role_ROLE_COORDINATOR {
		return usagef(cmd, "--role %q is not one of node, ingress, coordinator", flags.role)
	}
	if flags.ttl <= 0 || flags.uses == 0 {
		return usagef(cmd, "--ttl and --uses must be positive")
	}
	c, err := a.connect()
	if err != nil {
		return err
	}
	reply, err := ask(ctx, c.nodes.CreateJoinToken, &runwayv1.CreateJoinTokenRequest{Role: role, Pool: flags.pool, Uses: flags.uses, Ttl: durationpb.New(flags.ttl)})
	if err != nil {
		return err
	}
	a.note(fmt.Sprintf("shown once; valid for %s until %s", count(int(flags.uses), "machine", "machines"), stamp(reply.GetExpiresAt())))
	return a.show(reply, func(t *table) { t.text(reply.GetToken()) })
}
