package cli

import (
	"context"
	"fmt"
	"strings"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
	"github.com/spf13/cobra"
)

func (a *app) ingressesCommand() *cobra.Command {
	list := &cobra.Command{
		Use: "list", Short: "List ingresses, how far they follow the routes and what they do not serve", Args: exactly(),
		Long: "List shows each ingress with the generation of the routes that it has confirmed, and below the table why one\n" +
			"is lost, refuses its routes or does not serve a name.",
		Example: "  runwayctl ingresses list -o wide",
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.listIngresses(cmd.Context()) },
	}
	var force bool
	remove := &cobra.Command{
		Use: "rm INGRESS", Short: "Forget an ingress that is gone for good", Args: exactly("INGRESS"),
		Long: "Rm forgets an ingress, by its name or ID. What it may still have routed to is given up: node ports are used again.\n" +
			"Its certificate is worth nothing from then on; the machine can join again with a new join token.",
		Example: "  runwayctl ingresses rm edge-2 -y",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.removeIngress(cmd.Context(), cmd, args[0], force)
		},
	}
	remove.Flags().BoolVar(&force, "force", false, "although it is live")
	return noun("ingresses", "List and remove ingresses", list, remove)
}

func (a *app) routesCommand() *cobra.Command {
	accept := &cobra.Command{
		Use: "accept INGRESS", Short: "Have an ingress take the routes that it refuses", Args: exactly("INGRESS"),
		Long: "An ingress refuses routes with which more than half of those that it has would go without a reason, and keeps those\n" +
			"that it has. Accept shows what would go, asks, and has it take the routes once.",
		Example: "  runwayctl routes accept edge-1",
		RunE:    func(cmd *cobra.Command, args []string) error { return a.acceptRoutes(cmd.Context(), cmd, args[0]) },
	}
	return noun("routes", "Look after what the ingresses route by", accept)
}

func (a *app) listIngresses(ctx context.Context) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	reply, err := ask(ctx, c.nodes.ListIngresses, &runwayv1.ListIngressesRequest{})
	if err != nil {
		return err
	}
	return a.show(reply, func(t *table) {
		if len(reply.GetViews()) == 0 {
			t.text("No ingresses. Let one join: runwayctl nodes join-token --role ingress")
			return
		}
		a.ingressTable(t, reply)
		for _, view := range reply.GetViews() {
			explainIngress(t, view.GetIngress())
		}
	})
}

func (a *app) ingressTable(t *table, reply *runwayv1.ListIngressesResponse) {
	t.head(append([]string{"INGRESS", "STATE", "ROUTES", "BEHIND", "PROBLEMS", "LAST BEAT"}, t.only("ID", "ADDRESSES", "PORTS", "REGION", "ON DISK", "VERSION")...)...)
	for _, view := range reply.GetViews() {
		i := view.GetIngress()
		t.row(append([]string{
			ingressName(i), ingressPhase(i), fmt.Sprintf("%d of %d", view.GetGeneration(), reply.GetGeneration()),
			a.age(view.GetOwesSince()), number(len(i.GetStatus().GetProblems()) + int(i.GetStatus().GetProblemsOmitted())),
			ago(a.age(view.GetLastBeat())),
		}, t.only(i.GetId(), strings.Join(i.GetFacts().GetPublicAddresses(), " "), ports(i), i.GetFacts().GetRegion(), number(view.GetSaved()), i.GetFacts().GetVersion())...)...)
	}
}

// explainIngress says why an ingress is lost, what it refuses and what it does not
// serve, under the table.
func explainIngress(t *table, i *runwayv1.Ingress) {
	status := i.GetStatus()
	if cause := status.GetCause(); cause != nil {
		t.text("")
		t.text(fmt.Sprintf("%s: %s %s", ingressName(i), cause.GetCode(), cause.GetSummary()))
		t.text("fix: " + cause.GetFix())
	}
	explainRefusal(t, status.GetRefusal())
	if len(status.GetProblems()) > 0 {
		t.text("")
	}
	for _, p := range status.GetProblems() {
		t.text(fmt.Sprintf("%s does not serve %s: %s %s", ingressName(i), firstNonEmpty(p.GetHost(), p.GetWorkload().GetService(), "a part of its routes"), p.GetCause().GetCode(), p.GetCause().GetSummary()))
	}
	if more := status.GetProblemsOmitted(); more > 0 {
		t.text(fmt.Sprintf("and %d more", more))
	}
}

func explainRefusal(t *table, refusal *runwayv1.RouteRefusal) {
	for _, key := range refusal.GetGoing() {
		t.text("would go: " + workloadName(key))
	}
	if more := int(refusal.GetGoingTotal()) - len(refusal.GetGoing()); more > 0 {
		t.text(fmt.Sprintf("would go: %d more", more))
	}
}

func workloadName(key *runwayv1.WorkloadKey) string {
	return fmt.Sprintf("%s/%s in %s", key.GetSpace(), key.GetService(), key.GetEnvironment())
}

func (a *app) removeIngress(ctx context.Context, cmd *cobra.Command, name string, force bool) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	if err := a.confirm(cmd, "forget ingress "+name+": it cannot come back with its certificate, and the node ports that it may still route to are used again"); err != nil {
		return err
	}
	if _, err := ask(ctx, c.nodes.RemoveIngress, &runwayv1.RemoveIngressRequest{Ingress: name, Force: force}); err != nil {
		return err
	}
	return a.showDone("removed", "ingress "+name)
}

func (a *app) acceptRoutes(ctx context.Context, cmd *cobra.Command, name string) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	reply, err := ask(ctx, c.nodes.ListIngresses, &runwayv1.ListIngressesRequest{})
	if err != nil {
		return err
	}
	refusal := refusalIn(reply, name)
	for _, key := range refusal.GetGoing() {
		a.note("would go: " + workloadName(key))
	}
	going := refusal.GetGoingTotal()
	if err := a.confirm(cmd, fmt.Sprintf("have ingress %s take the routes, without %d of those that it has", name, going)); err != nil {
		return err
	}
	if _, err := ask(ctx, c.nodes.AcceptRoutes, &runwayv1.AcceptRoutesRequest{Ingress: name, Going: going}); err != nil {
		return err
	}
	return a.showDone("accepted", "routes of ingress "+name)
}

func refusalIn(reply *runwayv1.ListIngressesResponse, name string) *runwayv1.RouteRefusal {
	for _, view := range reply.GetViews() {
		if i := view.GetIngress(); i.GetId() == name || i.GetName() == name {
			return i.GetStatus().GetRefusal()
		}
	}
	return nil
}

func ingressName(i *runwayv1.Ingress) string { return firstNonEmpty(i.GetName(), i.GetId()) }

func ingressPhase(i *runwayv1.Ingress) string {
	text := word(i.GetStatus().GetPhase().String(), "INGRESS_PHASE_")
	if i.GetStatus().GetRefusal() != nil {
		text += ", refuses"
	}
	return text
}

func ports(i *runwayv1.Ingress) string {
	return fmt.Sprintf("%d, %d", i.GetFacts().GetHttpPort(), i.GetFacts().GetHttpsPort())
}
