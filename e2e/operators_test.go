//go:build e2e

package e2e

import (
	"archive/tar"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// A service's life by the commands that people type: what each of them prints is
// read, and what it says was done is asked of the service.
func TestOperators_CommandsDoAndSayWhatTheyPromise(t *testing.T) {
	c := newCluster(t, 1, 1)
	image := c.helloImage()
	manifest := func(t *testing.T, greeting string) string {
		text, err := os.ReadFile("../examples/hello/runway.yml")
		if err != nil {
			t.Fatal(err)
		}
		owned := strings.Replace(string(text), "  name: hello\n", "  name: hello\n  owner_email_handle: shop-team\n", 1)
		return c.in(t).manifest("hello", owned, "GREETING: "+greeting+"\n")
	}
	greeted := func(c *cluster, want string) {
		c.t.Helper()
		got, err := c.get(c.edges[0], "hello.shop."+domain, "/")
		if err != nil || !strings.HasPrefix(got.body, want+" from ") {
			c.t.Errorf("the service says %q, %v, want %s", got.body, err, want)
		}
	}

	t.Run("spaces create makes a space that can be deployed to", func(t *testing.T) {
		c := c.in(t)
		c.says(`^created space shop\n$`, "spaces", "create", "shop", "--description", "the web shop")
		c.says(`(?m)^shop +ready .*the web shop$`, "spaces", "list")
		c.refuses(10, "RW-8103 ", "spaces", "create", "shop")
	})
	t.Run("validate needs no cluster and names each mistake", func(t *testing.T) {
		c := c.in(t)
		c.says(`runway.yml, .*env-production.yml: valid for shop/hello in production\n$`, "-s", "shop", "validate", "-f", manifest(t, "Hello"))
		bad := c.manifest("bad", "apiVersion: runway/v1\nkind: RunwayService\nmetadata:\n  name: bad\nspec:\n  container_prot: 80\n", "A: b\n")
		c.refuses(2, "container_port", "validate", "-f", bad)
	})
	t.Run("deploy of an OCI archive prints the address", func(t *testing.T) {
		c := c.in(t)
		archive := c.ociArchive(image)
		c.says(`^https://hello\.shop\.`+regexp.QuoteMeta(domain)+`/\n$`, "-s", "shop", "deploy", "hello", "-f", manifest(t, "Hello"), "--image", "oci-archive:"+archive, "-m", "first")
		greeted(c, "Hello")
	})
	t.Run("deploy of a reference in a registry", func(t *testing.T) {
		c := c.in(t)
		c.says(`^https://`, "-s", "shop", "deploy", "hello", "-f", manifest(t, "Welcome"), "--image", c.pushed(image, "team/hello:v2"), "-m", "second")
		greeted(c, "Welcome")
	})
	t.Run("status, why, revisions and events tell what happened", func(t *testing.T) {
		c := c.in(t)
		c.says(`(?m)^hello +production +healthy +1/1 +2 +https://hello\.shop\.`, "-s", "shop", "status")
		c.says(`(?s)state +healthy\n.*1 serving\n.*revision +2 \(serving 2\)\n.*labels +owner_email_handle=shop-team\n.*internal name +hello\.shop\.internal\n`, "-s", "shop", "status", "hello")
		c.says(`(?s)^healthy: 1 of 1 replicas ready, 1 serving\n.*deployment \S+ succeeded`, "-s", "shop", "why", "hello")
		c.says(`(?s)1 +- .*admin +first\n2 +yes .*admin +second\n`, "-s", "shop", "revisions", "hello")
		c.says(`(?s)deployment\.started +hello +first\n.*deployment\.succeeded.*deployment\.started +hello +second\n`, "-s", "shop", "events")
		c.refuses(1, "RW-1301 ", "-s", "shop", "why", "absent")
	})
	t.Run("restart replaces the replicas of the same revision", func(t *testing.T) {
		c := c.in(t)
		before := c.only("hello")
		c.says(`^https://`, "-s", "shop", "restart", "hello")
		if after := c.only("hello"); after == before {
			t.Errorf("replica %s is still there", before)
		}
		greeted(c, "Welcome")
	})
	t.Run("rollback brings the revision before", func(t *testing.T) {
		c := c.in(t)
		c.says(`^https://`, "-s", "shop", "rollback", "hello", "-m", "too friendly")
		greeted(c, "Hello")
	})
	t.Run("logs -f shows lines as they are written, until it is interrupted", func(t *testing.T) { c.in(t).followsLogs(t) })
	t.Run("contexts choose the cluster", func(t *testing.T) { c.in(t).contexts(t) })
	t.Run("completion knows the commands", func(t *testing.T) {
		c := c.in(t)
		c.says(`__start_runwayctl`, "completion", "bash")
		c.says(`(?s)rollback.*scale|scale.*rollback`, "__complete", "")
	})
	t.Run("spaces delete takes its services with it", func(t *testing.T) {
		c := c.in(t)
		c.refuses(2, "RW-8104 ", "spaces", "delete", "shop", "-y")
		c.says(`^deleted space shop\n$`, "spaces", "delete", "shop", "--with-services", "-y")
		if left := c.everyContainer(); len(left) > 0 {
			t.Errorf("containers are left: %v", left)
		}
		c.refuses(2, "RW-8102 ", "spaces", "show", "shop")
	})
}

// says runs runwayctl and compares what it prints.
func (c *cluster) says(pattern string, args ...string) {
	c.t.Helper()
	output, err := c.try(args...)
	if err != nil || !regexp.MustCompile(pattern).MatchString(output) {
		c.t.Errorf("runwayctl %s: %v, printed\n%s\nwant %s", strings.Join(args, " "), err, output, pattern)
	}
}

// refuses runs runwayctl and wants an exit code, and a text on its output.
func (c *cluster) refuses(exit int, text string, args ...string) {
	c.t.Helper()
	_, err := c.try(args...)
	var ended *exec.ExitError
	if !errors.As(err, &ended) || ended.ExitCode() != exit || !strings.Contains(err.Error(), text) {
		c.t.Errorf("runwayctl %s: got %v, want exit code %d and %q", strings.Join(args, " "), err, exit, text)
	}
}

// only is the one replica of a service in the space shop, once those that it replaced
// are gone.
func (c *cluster) only(service string) (id string) {
	c.t.Helper()
	eventually(c.t, 60*time.Second, "one replica is left", func() error {
		rows, err := c.rows(service, "-s", "shop")
		if err == nil && len(rows) != 1 {
			err = fmt.Errorf("%d replicas", len(rows))
		}
		if err == nil {
			id = rows[0].GetId()
		}
		return err
	})
	return id
}

// followsLogs asks the service while its log is followed.
func (c *cluster) followsLogs(t *testing.T) {
	follow := exec.CommandContext(t.Context(), binary(t, "runwayctl"), "--config", c.config, "-s", "shop", "logs", "hello", "-f", "-n", "0")
	file := filepath.Join(c.dir, "follow.out")
	output, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer output.Close()
	follow.Stdout = output
	if err := follow.Start(); err != nil {
		t.Fatal(err)
	}
	asked := 0
	eventually(t, 15*time.Second, "the request is in the log", func() error {
		asked++
		if _, err := c.get(c.edges[0], "hello.shop."+domain, fmt.Sprintf("/nothing-%d", asked)); err != nil {
			return err
		}
		text, err := os.ReadFile(file)
		if err == nil && !strings.Contains(string(text), `"path":"/nothing-`) {
			err = fmt.Errorf("logs -f printed %q", text)
		}
		return err
	})
	if err := follow.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	var ended *exec.ExitError
	if err := follow.Wait(); !errors.As(err, &ended) || ended.ExitCode() != 130 {
		t.Errorf("interrupted: %v, want exit code 130", err)
	}
}

// contexts writes a file with two clusters, of which one is there.
func (c *cluster) contexts(t *testing.T) {
	file := filepath.Join(c.dir, "two.yml")
	c.writeYAML(file, 0o600, map[string]any{"current": "nowhere", "contexts": []map[string]any{
		{"name": "nowhere", "address": "127.0.0.1:1", "ca": filepath.Join(c.dir, "ca.crt"), "token": "t"},
		{"name": "lab", "address": c.address(), "ca": filepath.Join(c.dir, "ca.crt"), "token_file": filepath.Join(c.dir, "admin.token"), "space": "shop"},
	}})
	two := *c
	two.config = file
	two.says(`(?m)^lab +no +10\.99\.0\.10:7443 +yes +shop`, "context", "list")
	two.refuses(8, "RW-6002 ", "status")
	two.says(`healthy`, "--context", "lab", "status", "hello")
	two.says(`^using context lab\n$`, "context", "use", "lab")
	two.says(`healthy`, "status", "hello")
	two.says(`(?m)^context +lab$`, "context", "show")
}

// helloImage is the image of examples/hello.
func (c *cluster) helloImage() v1.Image {
	c.t.Helper()
	image, err := tarball.ImageFromPath(strings.TrimPrefix(helloArchive(c.t, c.lab), "docker-archive:"), nil)
	if err != nil {
		c.t.Fatal(err)
	}
	return image
}

// pushed puts an image into the lab's registry and returns its reference.
func (c *cluster) pushed(image v1.Image, repository string) string {
	c.t.Helper()
	reference, err := name.ParseReference(c.registryAddress()+"/"+repository, name.Insecure)
	if err == nil {
		err = remote.Write(reference, image)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return c.registryAddress() + "/" + repository
}

// ociArchive writes an image as other tools do: a layout in a tar file.
func (c *cluster) ociArchive(image v1.Image) string {
	c.t.Helper()
	folder, archive := filepath.Join(c.dir, "hello-oci"), filepath.Join(c.dir, "hello-oci.tar")
	written, err := layout.Write(folder, empty.Index)
	if err == nil {
		err = written.AppendImage(image)
	}
	if err == nil {
		err = archived(os.DirFS(folder), archive)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return archive
}

func archived(folder fs.FS, path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	w := tar.NewWriter(file)
	return errors.Join(w.AddFS(folder), w.Close(), file.Close())
}
