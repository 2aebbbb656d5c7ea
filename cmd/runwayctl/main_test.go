package main

import (
	"os/exec"
	"strings"
	"testing"
)

// The client is downloaded by everybody who deploys: it must stay small and link
// nothing of the platform's runtime. Client libraries for images are allowed.
func TestRunwayctl_LinksNoServer(t *testing.T) {
	t.Parallel()
	output, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").CombinedOutput()
	if err != nil {
		t.Fatalf("list dependencies: %v\n%s", err, output)
	}
	for _, path := range strings.Fields(string(output)) {
		for _, refused := range []string{
			"github.com/caddyserver/", "github.com/coredns/", "github.com/containerd/containerd/", "github.com/containerd/nerdctl/", "github.com/hashicorp/raft",
			"github.com/runway-platform/runway/agent", "github.com/runway-platform/runway/ingress", "github.com/runway-platform/runway/dev",
		} {
			if strings.HasPrefix(path, refused) {
				t.Errorf("runwayctl links %s", path)
			}
		}
		if inner, ok := strings.CutPrefix(path, "github.com/runway-platform/runway/coordinator/"); ok && inner != "client" {
			t.Errorf("runwayctl links %s", path)
		}
	}
}

func TestBuild_IsKnown(t *testing.T) {
	t.Parallel()
	if b := build(); !strings.HasPrefix(b.Go, "go") || b.Commit == "" {
		t.Errorf("build %+v", b)
	}
}
