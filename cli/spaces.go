package cli

import (
	"context"
	"fmt"

	"github.com/runway-platform/runway/manifest"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
	"github.com/spf13/cobra"
)

func (a *app) spacesCommand() *cobra.Command {
	var description string
	var withServices, restricted bool
	create := &cobra.Command{
		Use: "create NAME", Short: "Create a space and wait until it is ready", Args: exactly("NAME"),
		Long: "Create makes a space, in which a team's services have their names and their network, and waits until\n" +
			"every part of it is there.",
		Example: "  runwayctl spaces create shop --description 'the web shop'",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.createSpace(cmd.Context(), &runwayv1.CreateSpaceRequest{Name: args[0], Description: description, Restricted: restricted})
		},
	}
	create.Flags().StringVar(&description, "description", "", "what it is for")
	create.Flags().BoolVar(&restricted, "restricted", false, "run its replicas without root and without capabilities but NET_BIND_SERVICE; cannot be changed later")
	list := &cobra.Command{
		Use: "list", Short: "List spaces", Args: exactly(),
		Long:    "List shows the spaces that the token may see, and whether they are ready.",
		Example: "  runwayctl spaces list -o wide",
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.listSpaces(cmd.Context()) },
	}
	show := &cobra.Command{
		Use: "show SPACE", Short: "Show a space and its parts", Args: exactly("SPACE"),
		Long:    "Show prints a space and each of its parts: which are there, and what is still missing.",
		Example: "  runwayctl spaces show shop",
		RunE:    func(cmd *cobra.Command, args []string) error { return a.showSpace(cmd.Context(), args[0]) },
	}
	remove := &cobra.Command{
		Use: "delete SPACE", Short: "Delete a space and wait until it is gone", Args: exactly("SPACE"),
		Long: "Delete removes a space after a question and waits until it is gone. One with services is refused without\n" +
			"--with-services.",
		Example: "  runwayctl spaces delete shop --with-services -y",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.deleteSpace(cmd.Context(), cmd, args[0], withServices)
		},
	}
	remove.Flags().BoolVar(&withServices, "with-services", false, "delete its services too")
	return noun("spaces", "Create, list, show and delete spaces", create, list, show, remove)
}

func (a *app) createSpace(ctx context.Context, wanted *runwayv1.CreateSpaceRequest) error {
	name := wanted.GetName()
	if err := manifest.CheckName("space", name); err != nil {
		return err
	}
	c, err := a.connect()
	if err != nil {
		return err
	}
	space, err := ask(ctx, c.spaces.CreateSpace, wanted)
	if err != nil {
		return err
	}
	err = a.until(ctx, "space "+name+" is being made", func(ctx context.Context) (look, error) {
		fresh, err := ask(ctx, c.spaces.GetSpace, &runwayv1.GetSpaceRequest{Name: name})
		if err == nil {
			space = fresh
		}
		return look{done: space.GetStatus().GetPhase() == runwayv1.SpacePhase_SPACE_PHASE_READY, blocked: space.GetStatus().GetCause()}, err
	})
	if err != nil {
		return err
	}
	return a.show(space, func(t *table) { t.text("created space " + name) })
}

func (a *app) listSpaces(ctx context.Context) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	reply, err := ask(ctx, c.spaces.ListSpaces, &runwayv1.ListSpacesRequest{})
	if err != nil {
		return err
	}
	return a.show(reply, func(t *table) {
		t.head(append([]string{"SPACE", "PHASE", "AGE", "DESCRIPTION"}, t.only("PARTS")...)...)
		for _, s := range reply.GetSpaces() {
			t.row(append([]string{s.GetName(), spacePhase(s), a.age(s.GetMeta().GetCreatedAt()), s.GetSpec().GetDescription()}, t.only(partsReady(s))...)...)
		}
	})
}

func spacePhase(s *runwayv1.Space) string {
	return word(s.GetStatus().GetPhase().String(), "SPACE_PHASE_")
}

func partsReady(s *runwayv1.Space) string {
	ready := 0
	for _, p := range s.GetStatus().GetParts() {
		if p.GetReady() {
			ready++
		}
	}
	return fmt.Sprintf("%d/%d", ready, len(s.GetStatus().GetParts()))
}

func (a *app) showSpace(ctx context.Context, name string) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	s, err := ask(ctx, c.spaces.GetSpace, &runwayv1.GetSpaceRequest{Name: name})
	if err != nil {
		return err
	}
	return a.show(s, func(t *table) {
		t.row("space", s.GetName())
		t.row("phase", spacePhase(s))
		t.row("description", s.GetSpec().GetDescription())
		if s.GetSpec().GetRestricted() {
			t.row("policy", "restricted: never root, no capability but NET_BIND_SERVICE")
		}
		for _, p := range s.GetStatus().GetParts() {
			state := "not ready"
			if p.GetReady() {
				state = "ready"
			}
			t.row("part "+p.GetName(), state+" "+p.GetDetail())
		}
		if cause := s.GetStatus().GetCause(); cause != nil {
			t.text("")
			explain(t, cause)
		}
	})
}

func (a *app) deleteSpace(ctx context.Context, cmd *cobra.Command, name string, withServices bool) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	what := "delete space " + name
	if withServices {
		what += " and all its services"
	}
	if err := a.confirm(cmd, what); err != nil {
		return err
	}
	if _, err := ask(ctx, c.spaces.DeleteSpace, &runwayv1.DeleteSpaceRequest{Name: name, WithServices: withServices}); err != nil {
		return err
	}
	err = a.until(ctx, "space "+name+" is being deleted", func(ctx context.Context) (look, error) {
		space, err := ask(ctx, c.spaces.GetSpace, &runwayv1.GetSpaceRequest{Name: name})
		return look{done: isNotFound(err), blocked: space.GetStatus().GetCause()}, unless(isNotFound(err), err)
	})
	if err != nil {
		return err
	}
	return a.showDone("deleted", "space "+name)
}
