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
		Use: "list", Short: "List nodes with what is reserved on them", Args: exactly(),
		Long: "List shows each node with its state, its replicas and how much of its processors and memory is reserved.\n" +
			"-o wide adds addresses, versions and pools.",
		Example: "  runwayctl nodes list -o wide",
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.listNodes(cmd.Context()) },
	}
	join := &cobra.Command{
		Use: "join-token", Short: "Make a token that a new machine joins with", Args: exactly(),
		Long:    "Join-token prints a token once. The machine's process is started with it and pins the cluster's CA by it.",
		Example: "  runwayctl nodes join-token\n  runwayctl nodes join-token --role ingress --ttl 10m",
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.joinToken(cmd.Context(), cmd, flags) },
	}
	f := join.Flags()
	f.StringVar(&flags.role, "role", "node", "node or ingress")
	f.StringVar(&flags.pool, "pool", "", "pool that the node will be in (default: default)")
	f.Uint32Var(&flags.uses, "uses", 1, "machines that may join with it")
	f.DurationVar(&flags.ttl, "ttl", defaultJoinTTL, "how long it is valid")
	var force bool
	remove := &cobra.Command{
		Use: "rm NODE", Short: "Forget a node that is gone for good", Args: exactly("NODE"),
		Long: "Rm forgets a node, by its name or ID, and its replicas; new ones are made elsewhere. One that is not down and has replicas\n" +
			"is refused without --force: what runs there would go on, and nobody would know. Its certificate is worth nothing from then\n" +
			"on; the machine can join again with a new join token.",
		Example: "  runwayctl nodes rm node-3 -y",
		RunE:    func(cmd *cobra.Command, args []string) error { return a.removeNode(cmd.Context(), cmd, args[0], force) },
	}
	remove.Flags().BoolVar(&force, "force", false, "although it is not down and has replicas")
	return noun("nodes", "List, cordon and remove nodes, and let machines join", list, join, a.cordonCommand(true), a.cordonCommand(false), remove)
}

func (a *app) cordonCommand(cordoned bool) *cobra.Command {
	use, short := "cordon", "Keep new replicas from a node; those that run there stay"
	long := "Cordon keeps new replicas from a node, by its name or ID, until it is uncordoned. What runs there goes on\n" +
		"and is still supervised; a replica that is replaced comes up elsewhere."
	if !cordoned {
		use, short = "uncordon", "Let a node take new replicas again"
		long = "Uncordon ends what cordon began. Replicas that run elsewhere stay where they are."
	}
	return &cobra.Command{
		Use: use + " NODE", Short: short, Long: long, Args: exactly("NODE"), Example: "  runwayctl nodes " + use + " node-1",
		RunE: func(cmd *cobra.Command, args []string) error { return a.setCordon(cmd.Context(), args[0], cordoned) },
	}
}

func (a *app) setCordon(ctx context.Context, name string, cordoned bool) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	if _, err := ask(ctx, c.nodes.SetCordon, &runwayv1.SetCordonRequest{Node: name, Cordoned: cordoned}); err != nil {
		return err
	}
	result := "cordoned"
	if !cordoned {
		result = "uncordoned"
	}
	return a.showDone(result, "node "+name)
}

func (a *app) removeNode(ctx context.Context, cmd *cobra.Command, name string, force bool) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	if err := a.confirm(cmd, "forget node "+name+" with its replicas: it cannot come back with its certificate"); err != nil {
		return err
	}
	reply, err := ask(ctx, c.nodes.RemoveNode, &runwayv1.RemoveNodeRequest{Node: name, Force: force})
	if err != nil {
		return err
	}
	return a.showDone("removed", fmt.Sprintf("node %s with %s", name, count(int(reply.GetReplicas()), "replica", "replicas")))
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
		t.head(append([]string{"NODE", "STATE", "REPLICAS", "CPU RESERVED", "MEMORY RESERVED", "LAST BEAT"}, t.only("ID", "ADDRESS", "REGION", "POOL", "AGENT", "RUNTIME", "KERNEL")...)...)
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
	if !ok || role != runwayv1.Role_ROLE_NODE && role != runwayv1.Role_ROLE_INGRESS {
		return usagef(cmd, "--role %q is neither node nor ingress", flags.role)
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
