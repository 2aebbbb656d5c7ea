package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/runway-platform/runway/manifest"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// deployAttempts bounds the repetitions of a request whose answer was lost. The
// idempotency key makes them one deployment.
const deployAttempts = 3

// deployFlags are the flags of `deploy`.
type deployFlags struct {
	file, image, strategy, message string
	wait                           waitFlags
}

// waitFlags are shared by the commands that start a deployment.
type waitFlags struct {
	detach  bool
	timeout time.Duration
}

func (f *waitFlags) register(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.detach, "detach", false, "do not wait for the end")
	f.registerTimeout(cmd)
}

func (f *waitFlags) registerTimeout(cmd *cobra.Command) {
	cmd.Flags().DurationVar(&f.timeout, "timeout", defaultWait, "longest wait; the deployment goes on after it")
}

// check refuses a wait that would end before it began.
func (f *waitFlags) check(cmd *cobra.Command) error {
	if f.timeout <= 0 {
		return usagef(cmd, "--timeout %s is not positive", f.timeout)
	}
	return nil
}

func (a *app) deployCommand() *cobra.Command {
	var flags deployFlags
	cmd := &cobra.Command{
		Use:   "deploy [SERVICE]",
		Short: "Deploy the manifest of this folder and wait until it serves",
		Long: "Deploy reads runway.yml, makes a revision of it and waits until every replica is\n" +
			"healthy and routed. Without SERVICE the name is metadata.name of the manifest.",
		Example: "  runwayctl deploy --image registry.example.com/web:1.4\n" +
			"  runwayctl deploy web -e staging --image docker-archive:web.tar\n" +
			"  runwayctl deploy -f .runway/runway.yml --detach",
		Args: between(0, "SERVICE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := flags.wait.check(cmd); err != nil {
				return err
			}
			return a.deploy(cmd.Context(), flags, firstOf(args))
		},
	}
	registerFile(cmd, &flags.file)
	f := cmd.Flags()
	f.StringVar(&flags.image, "image", "", "image reference, docker-archive:FILE or oci-archive:FILE")
	f.StringVar(&flags.strategy, "strategy", "", "strategy (default \"rolling\")")
	f.StringVarP(&flags.message, "message", "m", "", "why, for the history")
	flags.wait.register(cmd)
	return cmd
}

func firstOf(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

// deploy is the whole of `deploy`, step by step.
func (a *app) deploy(ctx context.Context, flags deployFlags, service string) error {
	clients, err := a.connect()
	if err != nil {
		return err
	}
	steps := a.newProgress()
	defer steps.clear()
	m, key, err := a.readManifest(flags.file, service)
	if err != nil {
		return err
	}
	steps.step("manifest %s", strings.Join(m.Files, ", "))
	if m.Spec.Image.Reference, err = a.image(ctx, clients, steps, flags.image, m, key); err != nil {
		return err
	}
	steps.now("image %s is being resolved", m.Spec.GetImage().GetReference())
	request := &runwayv1.DeployRequest{
		Workload: key, Spec: m.Spec, Strategy: flags.strategy, Message: flags.message, IdempotencyKey: ulid.Make().String(),
	}
	reply, err := submit(ctx, key.GetService(), func(ctx context.Context) (*runwayv1.DeployResponse, error) {
		return clients.services.Deploy(ctx, request)
	})
	if err != nil {
		return err
	}
	steps.step("revision %d, image %s", reply.GetRevision().GetNumber(), shortImage(reply.GetRevision().GetSpec().GetImage()))
	reply.Warnings = append(m.Warnings, reply.GetWarnings()...)
	return a.await(ctx, clients, reply, flags.wait)
}

// readManifest loads the manifest and names the workload: by the argument, else by
// metadata.name where DNS allows it.
func (a *app) readManifest(file, service string) (*manifest.Manifest, *runwayv1.WorkloadKey, error) {
	m, err := manifest.Load(manifest.Source{Path: file, Service: service, Environment: a.globals.environment})
	if err != nil {
		return nil, nil, err
	}
	if err := manifest.CheckName("space", a.globals.space); err != nil {
		return nil, nil, err
	}
	name := firstNonEmpty(service, m.Name)
	if err := manifest.CheckName("service", name); err != nil && service == "" {
		return nil, nil, &failure{
			exit: exitRejected, code: code.NameInvalid, summary: fmt.Sprintf("metadata.name %q cannot be the service's DNS name", name),
			fix: "name the service: runwayctl deploy " + firstNonEmpty(manifest.ProposeName(name), "SERVICE"),
		}
	} else if err != nil {
		return nil, nil, err
	}
	return m, a.key(name), nil
}

// submit sends a request that starts a deployment of a service, again when the
// answer was lost on the way.
func submit(ctx context.Context, service string, send func(context.Context) (*runwayv1.DeployResponse, error)) (reply *runwayv1.DeployResponse, err error) {
	for range deployAttempts {
		reply, err = submitOnce(ctx, send)
		if status.Code(err) != codes.Unavailable || ctx.Err() != nil {
			break
		}
	}
	if err != nil && ctx.Err() != nil {
		return nil, &failure{
			exit: exitInterrupted, code: code.Interrupted, summary: "interrupted before the coordinator answered",
			fix: "see whether it began: runwayctl deployments list " + service,
		}
	}
	return reply, err
}

func submitOnce(ctx context.Context, send func(context.Context) (*runwayv1.DeployResponse, error)) (*runwayv1.DeployResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, deployTimeout)
	defer cancel()
	return send(ctx)
}

// await follows a deployment that was just started, and prints its result.
func (a *app) await(ctx context.Context, c *clients, reply *runwayv1.DeployResponse, flags waitFlags) error {
	for _, w := range reply.GetWarnings() {
		a.warn(w)
	}
	w := a.newWatch(c, reply.GetDeployment())
	w.urls = reply.GetUrls()
	if flags.detach {
		a.note("deployment " + w.id + " started; follow it: runwayctl deployments attach " + w.id)
		return a.showResult(w, reply.GetWarnings(), nil)
	}
	return a.showResult(w, reply.GetWarnings(), w.follow(ctx, flags.timeout))
}
