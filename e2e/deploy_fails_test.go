//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// hasty is the manifest of a revision that is given 3 s to become ready.
var hasty = strings.ReplaceAll(rollingManifest, "failure_threshold: 60", "failure_threshold: 3")

// broken is a revision that does not work.
type broken struct {
	manifest, environment string
	image                 string // of the working service when empty
	// exit code of deploy, and the code that its last line begins with.
	exit int
	code string
	// proof are parts of what deploy and `why` show.
	proof []string
	// refused ones make no revision.
	refused bool
}

// A revision that does not work ends with its cause, in the last line for scripts and
// with the proof for people, and costs nobody a request: the one before serves as before.
func TestDeployFails(t *testing.T) {
	c := newCluster(t, 2, 2)
	newRolled(c, 2)
	before, err := c.rows(rollingService)
	if err != nil {
		t.Fatal(err)
	}
	c.crowd()
	load := c.startClients(100, c.edges...)
	for title, b := range map[string]broken{
		"it exits at once": {
			environment: "BREAK: exit\n", exit: 4, code: "RW-1101", proof: []string{"exited with code 1", "log: ", "cannot start: no database"},
		},
		"it never binds its port": {
			environment: "BREAK: deaf\n", exit: 4, code: "RW-1201", proof: []string{"port 8080 was not listened on", "127.0.0.1:9090", "log: ", "listening on 127.0.0.1:9090"},
		},
		"it answers its probe with an error": {
			environment: "BREAK: sick\n", exit: 4, code: "RW-1203", proof: []string{"/healthz: 500 ", `"no database` + strings.Repeat(".", 512-len("no database")) + `"`, "sockets: [::]:8080", "log: "},
		},
		"it takes more memory than it has": {
			environment: "BREAK: greedy\n", exit: 4, code: "RW-1103", proof: []string{"128 MiB", "log: ", "filling the memory"},
		},
		"its image is not in the registry": {
			image: c.registryAddress() + "/absent:1", exit: 2, code: "RW-3001", proof: []string{"absent"}, refused: true,
		},
		"its image has gone from the registry": {
			image: c.hollowImage(), exit: 4, code: "RW-3001", proof: []string{"hollow"},
		},
		"it does not fit": {
			manifest: strings.ReplaceAll(hasty, "memory: 128Mi", "memory: "+c.most()), exit: 7, code: "RW-2001", proof: []string{"no node fits rolling", "short of memory"},
		},
	} {
		t.Run(title, func(t *testing.T) { c.fails(t, b, before) })
	}
	if got := load.stop(); got.Failed > 0 {
		t.Errorf("%d of %d requests failed:\n%s", got.Failed, got.Requests, got.failures())
	}
}

// fails deploys a broken revision, and looks at all that is said and left of it.
func (c *cluster) fails(t *testing.T, b broken, before []*runwayv1.Replica) {
	if b.manifest == "" {
		b.manifest = hasty
	}
	if b.image == "" {
		b.image = serviceArchive(t, c.lab)
	}
	dir := c.manifest(rollingService, b.manifest, "NAME: broken\n"+b.environment)
	exit, stderr := c.exit(t, "deploy", rollingService, "-f", dir, "--image", b.image)
	lines := strings.Split(strings.TrimSpace(stderr), "\n")
	if exit != b.exit || !strings.HasPrefix(lines[len(lines)-1], b.code+" ") {
		t.Errorf("exit %d, want %d with a last line of %s:\n%s", exit, b.exit, b.code, stderr)
	}
	told := []string{stderr}
	if !b.refused {
		told = append(told, c.ctl("why", rollingService))
		if !strings.Contains(stderr, "revision 1 serves as before") {
			t.Errorf("what serves is not said:\n%s", stderr)
		}
	}
	for _, text := range told {
		for _, proof := range append(b.proof, b.code) {
			if !strings.Contains(text, proof) {
				t.Errorf("%q is missing in:\n%s", proof, text)
			}
		}
	}
	after, err := c.rows(rollingService)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range before {
		if !slices.ContainsFunc(after, func(now *runwayv1.Replica) bool {
			return now.GetId() == r.GetId() && now.GetRouting().GetServing() && now.GetStatus().GetAttempt() == r.GetStatus().GetAttempt()
		}) {
			t.Errorf("replica %s does not serve as before: %v", r.GetId(), after)
		}
	}
}

// exit runs runwayctl and returns its exit code and what it wrote to stderr.
func (c *cluster) exit(t *testing.T, args ...string) (code int, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, binary(t, "runwayctl"), append([]string{"--config", c.config}, args...)...)
	var buffer bytes.Buffer
	command.Stderr = &buffer
	var ended *exec.ExitError
	if err := command.Run(); err != nil && !errors.As(err, &ended) {
		t.Fatalf("runwayctl %s: %v", strings.Join(args, " "), err)
	}
	return command.ProcessState.ExitCode(), buffer.String()
}

// most is more than half of a node's memory: one such replica fits on it.
func (c *cluster) most() string {
	var reply runwayv1.ListNodesResponse
	if err := c.decode(&reply, "nodes", "list"); err != nil {
		c.t.Fatal(err)
	}
	return fmt.Sprintf("%dMi", reply.GetNodes()[0].GetNode().GetFacts().GetAllocatableMemoryBytes()*6/10>>20)
}

// crowd takes most of the memory of both nodes.
func (c *cluster) crowd() {
	c.t.Helper()
	text := strings.NewReplacer("name: rolling", "name: crowd", "memory: 128Mi", "memory: "+c.most(), "min_instances: 1", "min_instances: 2").Replace(rollingManifest)
	c.ctl("deploy", "crowd", "-f", c.manifest("crowd", text, "NAME: crowd\n"), "--image", serviceArchive(c.t, c.lab))
}

// hollowImage is an index whose image for this platform was deleted after it was pushed:
// it can be resolved and not be pulled.
func (c *cluster) hollowImage() string {
	c.t.Helper()
	must := func(err error) {
		c.t.Helper()
		if err != nil {
			c.t.Fatal(err)
		}
	}
	image, err := random.Image(1024, 1)
	must(err)
	digest, err := image.Digest()
	must(err)
	index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{
		Add: image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: runtime.GOARCH}},
	})
	reference, err := name.ParseReference(c.registryAddress()+"/hollow:1", name.Insecure)
	must(err)
	must(remote.WriteIndex(reference, index))
	request, err := http.NewRequestWithContext(context.Background(), http.MethodDelete, "http://"+c.registryAddress()+"/v2/hollow/manifests/"+digest.String(), nil)
	must(err)
	response, err := http.DefaultClient.Do(request)
	must(err)
	must(response.Body.Close())
	if response.StatusCode != http.StatusAccepted {
		c.t.Fatalf("delete the image of the index: %s", response.Status)
	}
	return reference.String()
}
