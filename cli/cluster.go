package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
	"github.com/spf13/cobra"
)

func (a *app) clusterCommand() *cobra.Command {
	status := &cobra.Command{
		Use: "status", Short: "Show who leads, the members and the ingresses", Args: exactly(),
		Long: "Status shows the cluster's name, domain, version and regions, which coordinator leads, and how far every\n" +
			"ingress follows the routes.",
		Example: "  runwayctl cluster status",
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.clusterStatus(cmd.Context()) },
	}
	return noun("cluster", "Look after the cluster itself", status)
}

// clusterAnswer is the document of `cluster status`.
type clusterAnswer struct {
	Cluster   json.RawMessage `json:"cluster"`
	Ingresses json.RawMessage `json:"ingresses"`
}

func (a *app) clusterStatus(ctx context.Context) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	info, err := ask(ctx, c.cluster.Info, &runwayv1.InfoRequest{})
	if err != nil {
		return err
	}
	ingresses, err := ask(ctx, c.nodes.ListIngresses, &runwayv1.ListIngressesRequest{})
	if err != nil {
		return err
	}
	var answer clusterAnswer
	if answer.Cluster, err = encode(info); err != nil {
		return err
	}
	if answer.Ingresses, err = encode(ingresses); err != nil {
		return err
	}
	return a.showValue(answer, func(t *table) { clusterTable(t, info, ingresses) })
}

func clusterTable(t *table, info *runwayv1.InfoResponse, ingresses *runwayv1.ListIngressesResponse) {
	t.row("cluster", info.GetCluster())
	t.row("domain", info.GetDomain())
	t.row("version", info.GetVersion())
	t.row("leader", info.GetLeader())
	t.row("regions", strings.Join(info.GetRegions(), " "))
	t.row("registry", info.GetRegistry())
	t.text("")
	t.head("MEMBER", "ADDRESS", "VOTER", "LEADER")
	for _, m := range info.GetMembers() {
		t.row(m.GetId(), m.GetAddress(), yes(m.GetVoter()), yes(m.GetLeader()))
	}
	t.text("")
	t.head("INGRESS", "STATE", "ROUTES", "ADDRESSES", "PORTS", "VERSION")
	for _, view := range ingresses.GetViews() {
		i := view.GetIngress()
		t.row(ingressName(i), ingressPhase(i), fmt.Sprintf("%d of %d", view.GetGeneration(), ingresses.GetGeneration()),
			strings.Join(i.GetFacts().GetPublicAddresses(), " "), ports(i), i.GetFacts().GetVersion())
	}
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
