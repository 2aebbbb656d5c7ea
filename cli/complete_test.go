package cli

import (
	"bytes"
	"context"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/runway-platform/runway/cli/clitest"
	"github.com/runway-platform/runway/coordinator/client"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
)

// completion asks as the scripts of the shells do; the last word is the one being typed.
func completion(f *clitest.Fake, words ...string) *run {
	return &run{fake: f, args: "__complete", words: words}
}

func TestComplete_OffersNamesOfTheCluster(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"why ":                           "web",
		"why w":                          "web",
		"why x":                          "",
		"why web ":                       "",
		"deploy ":                        "web",
		"scale web ":                     "",
		"deployments show ":              "01JNQ8Z3\tweb revision 3 succeeded|01JNQ900\tweb revision 3 succeeded|01JNQ901\tweb revision 3 rolling",
		"deployments cancel 01JNQ901":    "01JNQ901\tweb revision 3 rolling",
		"nodes cordon ":                  "node-1\tready, cordoned",
		"ingresses rm ":                  "ingress-1\tlive|ingress-2\tlost, refuses",
		"routes accept ingress-2":        "ingress-2\tlost, refuses",
		"spaces show ":                   "default|shop",
		"spaces create ":                 "",
		"tokens revoke t":                "t1\tadmin|t2\tci",
		"status -s ":                     "default|shop",
		"status --space s":               "shop",
		"status -e ":                     "production",
		"status -e x":                    "",
		"status -o ":                     "json|table|wide|yaml",
		"logs web --replica ":            "web-a\trevision 3 serving|web-b\trevision 3 running",
		"rollback web --to ":             "3\tregistry.example.com/web@sha256:0123456789ab new header",
		"scale web 3 --region ":          "local",
		"tokens create ci --role view":   "viewer",
		"nodes join-token --role ":       "ingress|node",
		"tokens create ci --for-space s": "shop",
	} {
		o := completion(fullCluster(), strings.Split(line, " ")...).do(t)
		got := strings.Split(strings.TrimSuffix(o.stdout, "\n"), "\n")
		if names := strings.Join(got[:len(got)-1], "|"); names != want || o.exit != 0 {
			t.Errorf("%q: exit %d, offered %q, want %q", line, o.exit, names, want)
		}
	}
}

func TestComplete_OffersContextsWithoutACluster(t *testing.T) {
	t.Parallel()
	r := configRun(t, "__complete context use --config DIR/two.yml", nil)
	r.words = []string{""}
	if o := r.do(t); !strings.HasPrefix(o.stdout, "a\ta:7443\nb\tb:7443\n") {
		t.Errorf("offered %q", o.stdout)
	}
}

// The flags of a line that is being typed say where the names are looked for.
func TestComplete_AsksWhereTheLineSays(t *testing.T) {
	t.Parallel()
	f := fullCluster()
	completion(f, "why", "-s", "shop", "-e", "staging", "").do(t)
	asked := f.Requests("ListServices")
	if len(asked) != 1 {
		t.Fatalf("asked %d times", len(asked))
	}
	if r := asked[0].(*runwayv1.ListServicesRequest); r.GetSpace() != "shop" || r.GetEnvironment() != "staging" {
		t.Errorf("asked for %v", r)
	}
}

// A cluster that refuses, is not configured or does not answer offers nothing, says
// nothing and keeps nobody waiting.
func TestComplete_IsSilentOnFailure(t *testing.T) {
	t.Parallel()
	refusing := fullCluster()
	refusing.Refuse = map[string]error{"ListServices": clitest.Refusal(codes.PermissionDenied, &runwayv1.Cause{Code: string(code.PermissionDenied), Summary: "no"})}
	unconfigured := completion(fullCluster(), "why", "")
	unconfigured.env = map[string]string{"RUNWAY_ADDRESS": "", "RUNWAY_CA": ""}
	wrong := completion(fullCluster(), "why", "")
	wrong.env = map[string]string{"RUNWAY_OUTPUT": "xml"}
	expiring := completion(refusing, "why", "")
	expiring.expires = clitest.Now
	for name, r := range map[string]*run{"refused": completion(refusing, "why", ""), "not configured": unconfigured, "wrong variable": wrong, "token that ends soon": expiring} {
		o := r.do(t)
		if o.exit != 0 || o.stdout != ":4\n" || strings.Count(o.stderr, "\n") != 1 || !strings.HasPrefix(o.stderr, "Completion ended") {
			t.Errorf("%s: exit %d, stdout %q, stderr %q", name, o.exit, o.stdout, o.stderr)
		}
	}
}

func TestComplete_DoesNotWaitForADeadCluster(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	began := time.Now()
	exit := Run(t.Context(), Process{
		Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr, Now: time.Now,
		LookupEnv: func(name string) (string, bool) {
			env := map[string]string{"RUNWAY_ADDRESS": "127.0.0.1:7443"}
			return env[name], true
		},
		Dial: func(client.Config) (Conn, error) {
			silent := func(ctx context.Context, _ string) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }
			c, err := grpc.NewClient("passthrough:///silent", grpc.WithContextDialer(silent), grpc.WithTransportCredentials(insecure.NewCredentials()))
			return conn{ClientConn: c}, err
		},
	}, []string{"__complete", "why", ""})
	const patience = 10 * completeTimeout
	if took := time.Since(began); exit != 0 || stdout.String() != ":4\n" || took > patience {
		t.Errorf("exit %d after %s, stdout %q, stderr %q", exit, took, &stdout, &stderr)
	}
}

// Every word of a line of usage is a name that is offered or one that only the user knows.
func TestComplete_KnowsEveryArgument(t *testing.T) {
	t.Parallel()
	ownWords := map[string]bool{"NAME": true, "COUNT": true, "[command]": true}
	for _, c := range commandsOf(newRoot()) {
		if c.Name() == "help" {
			continue
		}
		for _, word := range strings.Fields(c.Use)[1:] {
			if name := strings.Trim(word, "[]"); namings[name] == nil && !ownWords[name] {
				t.Errorf("%s: nothing is offered for %s", c.CommandPath(), word)
			}
		}
	}
}

func TestCompletion_ScriptsAskForNames(t *testing.T) {
	t.Parallel()
	for _, s := range shells {
		o := (&run{fake: &clitest.Fake{}, args: "completion " + s.name}).do(t)
		if o.exit != 0 || !strings.Contains(o.stdout, "runwayctl") || !strings.Contains(o.stdout, " __complete ") {
			t.Errorf("%s: exit %d, %d bytes, stderr %q", s.name, o.exit, len(o.stdout), o.stderr)
		}
		path, err := exec.LookPath(s.name)
		if err != nil {
			t.Logf("%s is not installed: its script is not parsed", s.name)
			continue
		}
		parse := exec.CommandContext(t.Context(), path, "-n")
		parse.Stdin = strings.NewReader(o.stdout)
		if output, err := parse.CombinedOutput(); err != nil {
			t.Errorf("%s refuses its script: %v\n%s", s.name, err, output)
		}
	}
}
