package cli

import (
	"context"
	"slices"
	"strings"
	"time"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// completeTimeout bounds how long a shell waits for names: a person who pressed a key
// waits no longer.
const completeTimeout = time.Second

// naming finds the names that may stand at a place of the command line, each with a
// description behind a tab if there is one. args are the arguments before it.
type naming func(a *app, ctx context.Context, args []string) ([]string, error)

// namings are the names that arguments stand for, by their word in the line of usage.
var namings = map[string]naming{
	"SERVICE":    asking((*app).serviceNames),
	"DEPLOYMENT": asking((*app).deploymentNames),
	"NODE":       asking((*app).nodeNames),
	"INGRESS":    asking((*app).ingressNames),
	"SPACE":      asking((*app).spaceNames),
	"TOKEN":      asking((*app).tokenNames),
	"CONTEXT":    (*app).contextNames,
	// Of two environments.
	"ENVIRONMENT": asking((*app).environmentNames),
	"PART":        fixed(partClient, partMachine),
}

// flagNamings are those of the values of flags, the same on every command but those
// that are named.
var flagNamings = map[string]naming{
	"join-token --role": fixed("ingress", "node"),
	"space":             asking((*app).spaceNames),
	"for-space":         asking((*app).spaceNames),
	"environment":       asking((*app).environmentNames),
	"context":           (*app).contextNames,
	"output":            fixed(formats...),
	"role":              fixed(roleNames()...),
	"replica":           asking((*app).replicaNames),
	"region":            asking((*app).regionNames),
	"to":                asking((*app).revisionNames),
}

// complete lets shells ask for the names of every argument and flag below c.
func (a *app) complete(c *cobra.Command) {
	c.ValidArgsFunction = a.completeArgument
	c.LocalFlags().VisitAll(func(flag *pflag.Flag) { a.completeFlag(c, flag.Name) })
	for _, child := range c.Commands() {
		a.complete(child)
	}
}

func (a *app) completeFlag(c *cobra.Command, name string) {
	find, ok := flagNamings[c.Name()+" --"+name]
	if !ok {
		find, ok = flagNamings[name]
	}
	if !ok {
		return
	}
	// It fails only for a flag that is not there or is completed already: a flag of all
	// commands is local to the root alone.
	_ = c.RegisterFlagCompletionFunc(name, func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		return a.namesFor(cmd, find, args, typed)
	})
}

// completeArgument offers what the next word in the line of usage stands for.
func (a *app) completeArgument(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	expected := strings.Fields(cmd.Use)[1:]
	if len(args) >= len(expected) {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return a.namesFor(cmd, namings[strings.Trim(expected[len(args)], "[]")], args, typed)
}

// namesFor finds names. It says nothing of what goes wrong: a message in the middle of
// a command line that is being typed helps nobody.
func (a *app) namesFor(cmd *cobra.Command, find naming, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if find == nil || a.globals.settle(a.Process, cmd) != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	a.globals.quiet, a.globals.verbose = true, false
	ctx, cancel := context.WithTimeout(cmd.Context(), completeTimeout)
	defer cancel()
	names, err := find(a, ctx, args)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names = slices.DeleteFunc(names, func(name string) bool { return !strings.HasPrefix(name, typed) })
	slices.Sort(names)
	return slices.Compact(names), cobra.ShellCompDirectiveNoFileComp
}

// described is a name with what distinguishes it.
func described(name string, parts ...string) string {
	return oneLine(name) + "\t" + oneLine(strings.Join(parts, " "))
}

// asking is a naming that needs the cluster.
func asking(find func(a *app, ctx context.Context, c *clients, args []string) ([]string, error)) naming {
	return func(a *app, ctx context.Context, args []string) ([]string, error) {
		c, err := a.connect()
		if err != nil {
			return nil, err
		}
		return find(a, ctx, c, args)
	}
}

func fixed(names ...string) naming {
	return func(*app, context.Context, []string) ([]string, error) { return slices.Clone(names), nil }
}

func (a *app) contextNames(context.Context, []string) ([]string, error) {
	file, _, err := a.contextFile()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, c := range file.All() {
		names = append(names, described(c.Name, c.Address))
	}
	return names, nil
}

// services are those of the space, in the environment that was named or in all.
func (a *app) services(ctx context.Context, c *clients) ([]*runwayv1.ServiceView, error) {
	request := &runwayv1.ListServicesRequest{Space: a.globals.space}
	if a.globals.environmentNamed {
		request.Environment = a.globals.environment
	}
	reply, err := ask(ctx, c.services.ListServices, request)
	return reply.GetServices(), err
}

func (a *app) serviceNames(ctx context.Context, c *clients, _ []string) ([]string, error) {
	var names []string
	services, err := a.services(ctx, c)
	for _, s := range services {
		names = append(names, s.GetWorkload().GetKey().GetService())
	}
	return names, err
}

// environmentNames are those of the space, whatever was typed before.
func (a *app) environmentNames(ctx context.Context, c *clients, _ []string) ([]string, error) {
	a.globals.environmentNamed = false
	var names []string
	services, err := a.services(ctx, c)
	for _, s := range services {
		names = append(names, s.GetWorkload().GetKey().GetEnvironment())
	}
	return names, err
}

func (a *app) deploymentNames(ctx context.Context, c *clients, _ []string) ([]string, error) {
	key := a.key("")
	if !a.globals.environmentNamed {
		key.Environment = ""
	}
	reply, err := ask(ctx, c.deployments.ListDeployments, &runwayv1.ListDeploymentsRequest{Workload: key})
	var names []string
	for _, d := range reply.GetDeployments() {
		names = append(names, described(d.GetId(), d.GetWorkload().GetService(), "revision", number(d.GetSpec().GetRevision()), deploymentPhase(d.GetStatus().GetPhase())))
	}
	return names, err
}

func (a *app) replicaNames(ctx context.Context, c *clients, args []string) ([]string, error) {
	reply, err := ask(ctx, c.services.ListReplicas, &runwayv1.ListReplicasRequest{Workload: a.key(firstOf(args)), All: true})
	var names []string
	for _, view := range reply.GetReplicas() {
		names = append(names, described(view.GetReplica().GetId(), "revision", number(view.GetReplica().GetRevision()), replicaState(view.GetReplica())))
	}
	return names, err
}

// revisionNames are those of the service that stands before.
func (a *app) revisionNames(ctx context.Context, c *clients, args []string) ([]string, error) {
	reply, err := ask(ctx, c.services.ListRevisions, &runwayv1.ListRevisionsRequest{Workload: a.key(firstOf(args))})
	var names []string
	for _, r := range reply.GetRevisions() {
		names = append(names, described(number(r.GetNumber()), shortImage(r.GetSpec().GetImage()), r.GetMessage()))
	}
	return names, err
}

func (a *app) nodeNames(ctx context.Context, c *clients, _ []string) ([]string, error) {
	reply, err := ask(ctx, c.nodes.ListNodes, &runwayv1.ListNodesRequest{})
	var names []string
	for _, view := range reply.GetNodes() {
		names = append(names, described(view.GetNode().GetName(), nodePhase(view.GetNode())))
	}
	return names, err
}

func (a *app) ingressNames(ctx context.Context, c *clients, _ []string) ([]string, error) {
	reply, err := ask(ctx, c.nodes.ListIngresses, &runwayv1.ListIngressesRequest{})
	var names []string
	for _, view := range reply.GetViews() {
		names = append(names, described(ingressName(view.GetIngress()), ingressPhase(view.GetIngress())))
	}
	return names, err
}

func (a *app) spaceNames(ctx context.Context, c *clients, _ []string) ([]string, error) {
	reply, err := ask(ctx, c.spaces.ListSpaces, &runwayv1.ListSpacesRequest{})
	var names []string
	for _, s := range reply.GetSpaces() {
		names = append(names, s.GetName())
	}
	return names, err
}

func (a *app) tokenNames(ctx context.Context, c *clients, _ []string) ([]string, error) {
	reply, err := ask(ctx, c.tokens.ListTokens, &runwayv1.ListTokensRequest{})
	var names []string
	for _, token := range reply.GetTokens() {
		names = append(names, described(token.GetId(), token.GetName()))
	}
	return names, err
}

func (a *app) regionNames(ctx context.Context, c *clients, _ []string) ([]string, error) {
	info, err := ask(ctx, c.cluster.Info, &runwayv1.InfoRequest{})
	return info.GetRegions(), err
}
