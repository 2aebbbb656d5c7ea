package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/runway-platform/runway/cli/clitest"
	"github.com/runway-platform/runway/cli/config"
	"github.com/runway-platform/runway/coordinator/client"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

const twoContexts = `current: a
contexts:
  - {name: a, address: "a:7443", ca: a.crt, token: token-a}
  - {name: b, address: "b:7443", ca: /b.crt, token_file: b.token, space: shop, environment: staging}
`

// configRun lists services with a configuration folder and no variables.
func configRun(t *testing.T, args string, env map[string]string) *run {
	t.Helper()
	all := map[string]string{"RUNWAY_ADDRESS": "", "RUNWAY_CA": ""}
	for k, v := range env {
		all[k] = v
	}
	dir := folder(t, map[string]string{"two.yml": twoContexts, "bare.yml": "address: bare:7443\nca: bare.crt\n", "one.yml": "address: one:7443\nca: one.crt\ntoken: token-one\n", "b.token": "token-b\n", "t.token": "token-t\n"})
	return &run{fake: clitest.Healthy(), args: args, env: all, dir: dir}
}

// Flags come before variables, variables before the file.
func TestConnect_ChoosesTheCluster(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, args string
		env        map[string]string
		want       client.Config
	}{
		{"named file", "status --config DIR/one.yml", nil, client.Config{Addresses: []string{"one:7443"}, CAFile: "DIR/one.crt", Token: "token-one"}},
		{"file of the variable", "status", map[string]string{"RUNWAY_CONFIG": "DIR/one.yml"}, client.Config{Addresses: []string{"one:7443"}, CAFile: "DIR/one.crt", Token: "token-one"}},
		{"flag before variable", "status --config DIR/two.yml", map[string]string{"RUNWAY_CONFIG": "DIR/one.yml"}, client.Config{Addresses: []string{"a:7443"}, CAFile: "DIR/a.crt", Token: "token-a"}},
		{"named context", "status --config DIR/two.yml --context b", nil, client.Config{Addresses: []string{"b:7443"}, CAFile: "/b.crt", TokenFile: "DIR/b.token"}},
		{"context of the variable", "status --config DIR/two.yml", map[string]string{"RUNWAY_CONTEXT": "b"}, client.Config{Addresses: []string{"b:7443"}, CAFile: "/b.crt", TokenFile: "DIR/b.token"}},
		{"token file before all", "status --config DIR/one.yml --token-file DIR/t.token", map[string]string{"RUNWAY_TOKEN": "x"}, client.Config{Addresses: []string{"one:7443"}, CAFile: "DIR/one.crt", TokenFile: "DIR/t.token"}},
		{"token variable before file", "status", map[string]string{"RUNWAY_CONFIG": "DIR/one.yml", "RUNWAY_TOKEN": "x"}, client.Config{Addresses: []string{"one:7443"}, CAFile: "DIR/one.crt", Token: "x"}},
		{"token of the named file before variable", "status --config DIR/one.yml", map[string]string{"RUNWAY_TOKEN": "x"}, client.Config{Addresses: []string{"one:7443"}, CAFile: "DIR/one.crt", Token: "token-one"}},
		{"token of the named context before variable", "status --context b", map[string]string{"RUNWAY_CONFIG": "DIR/two.yml", "RUNWAY_TOKEN": "x"}, client.Config{Addresses: []string{"b:7443"}, CAFile: "/b.crt", TokenFile: "DIR/b.token"}},
		{"token variable for a named file without one", "status --config DIR/bare.yml", map[string]string{"RUNWAY_TOKEN": "x"}, client.Config{Addresses: []string{"bare:7443"}, CAFile: "DIR/bare.crt", Token: "x"}},
		{"token file for a named file", "status --config DIR/one.yml", map[string]string{"RUNWAY_TOKEN_FILE": "DIR/t.token"}, client.Config{Addresses: []string{"one:7443"}, CAFile: "DIR/one.crt", Token: "token-one"}},
		{"named file before variables", "status --config DIR/one.yml", map[string]string{"RUNWAY_ADDRESS": "v:1", "RUNWAY_CA": "/v.crt"}, client.Config{Addresses: []string{"one:7443"}, CAFile: "DIR/one.crt", Token: "token-one"}},
		{"named context before variables", "status --context b", map[string]string{"RUNWAY_CONFIG": "DIR/two.yml", "RUNWAY_ADDRESS": "v:1", "RUNWAY_CA": "/v.crt"}, client.Config{Addresses: []string{"b:7443"}, CAFile: "/b.crt", TokenFile: "DIR/b.token"}},
		{"address variable before file", "status", map[string]string{"RUNWAY_CONFIG": "DIR/one.yml", "RUNWAY_ADDRESS": "v:1"}, client.Config{Addresses: []string{"v:1"}, CAFile: "DIR/one.crt", Token: "token-one"}},
		{"a token goes to its own CA only", "status", map[string]string{"RUNWAY_CONFIG": "DIR/one.yml", "RUNWAY_ADDRESS": "v:1", "RUNWAY_CA": "/v.crt"}, client.Config{Addresses: []string{"v:1"}, CAFile: "/v.crt"}},
		{"variables alone", "status", map[string]string{"RUNWAY_ADDRESS": "v:1", "RUNWAY_CA": "/v.crt", "RUNWAY_TOKEN": "x"}, client.Config{Addresses: []string{"v:1"}, CAFile: "/v.crt", Token: "x"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := configRun(t, test.args, test.env)
			if o := r.do(t); o.exit != 0 || o.stderr != "" {
				t.Fatalf("exit %d: %s", o.exit, o.stderr)
			}
			got := r.dialled
			got.CAFile, got.TokenFile = r.hide(got.CAFile), r.hide(got.TokenFile)
			if diff := cmp.Diff(test.want, got, cmpopts.IgnoreFields(client.Config{}, "Dialer")); diff != "" {
				t.Errorf("connected with (-want +got):\n%s", diff)
			}
		})
	}
}

// Space and environment: flag, variable, context, default.
func TestConnect_ChoosesNames(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args               string
		env                map[string]string
		space, environment string
	}{
		{"revisions web --config DIR/one.yml", nil, "default", "production"},
		{"revisions web --config DIR/two.yml --context b", nil, "shop", "staging"},
		{"revisions web --config DIR/two.yml --context b", map[string]string{"RUNWAY_SPACE": "blog", "RUNWAY_ENVIRONMENT": "test"}, "blog", "test"},
		{"revisions web --config DIR/two.yml --context b -s x -e y", map[string]string{"RUNWAY_SPACE": "blog", "RUNWAY_ENVIRONMENT": "test"}, "x", "y"},
	} {
		r := configRun(t, test.args, test.env)
		r.fake.Revisions = &runwayv1.ListRevisionsResponse{}
		if o := r.do(t); o.exit != 0 {
			t.Fatalf("%s: exit %d: %s", test.args, o.exit, o.stderr)
		}
		key := r.fake.Requests("ListRevisions")[0].(*runwayv1.ListRevisionsRequest).GetWorkload()
		if key.GetSpace() != test.space || key.GetEnvironment() != test.environment {
			t.Errorf("%s with %v: %s/%s, want %s/%s", test.args, test.env, key.GetSpace(), key.GetEnvironment(), test.space, test.environment)
		}
	}
}

func TestConnect_Refuses(t *testing.T) {
	t.Parallel()
	for name, args := range map[string]string{
		"config_absent":          "status --config DIR/absent.yml",
		"config_not_configured":  "status",
		"config_unknown_context": "status --config DIR/two.yml --context c",
		"config_unknown_key":     "status --config DIR/bad.yml",
		"config_bad_address":     "status --config DIR/address.yml",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := configRun(t, args, nil)
			for file, text := range map[string]string{"bad.yml": "adress: x\n", "address.yml": "address: nowhere\n"} {
				if err := os.WriteFile(filepath.Join(r.dir, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			r.golden(t, name)
		})
	}
}

// Files with tokens that others can read are used, with a warning.
func TestConnect_WarnsOfExposedTokens(t *testing.T) {
	t.Parallel()
	r := configRun(t, "status --config DIR/one.yml --token-file DIR/t.token", nil)
	for _, file := range []string{"one.yml", "t.token"} {
		if err := os.Chmod(filepath.Join(r.dir, file), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	o := r.do(t)
	want := "warning: others can read DIR/one.yml, which may hold a token; run chmod 600 on it\n" +
		"warning: others can read the token in DIR/t.token; run chmod 600 on it\n"
	if o.exit != 0 || o.stderr != want {
		t.Errorf("exit %d, stderr %q, want %q", o.exit, o.stderr, want)
	}
}

func TestContext_Commands(t *testing.T) {
	t.Parallel()
	configRun(t, "context list --config DIR/two.yml", nil).golden(t, "context_list")
	configRun(t, "context list --config DIR/two.yml -o json", nil).golden(t, "context_list_json")
	configRun(t, "context show --config DIR/two.yml --context b", nil).golden(t, "context_show_b")
	configRun(t, "context use c --config DIR/two.yml", nil).golden(t, "context_use_unknown")
}

// The choice is written through a link, and nothing else of the file changes.
func TestContext_Use(t *testing.T) {
	t.Parallel()
	r := configRun(t, "context use b --config DIR/link.yml", nil)
	link := filepath.Join(r.dir, "link.yml")
	if err := os.Symlink("two.yml", link); err != nil {
		t.Fatal(err)
	}
	if o := r.do(t); o.exit != 0 || o.stdout != "using context b\n" {
		t.Fatalf("exit %d, stdout %q, stderr %q", o.exit, o.stdout, o.stderr)
	}
	file, err := config.Load(filepath.Join(r.dir, "two.yml"))
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(link)
	if err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is %v, %v", info, err)
	}
	if file.Current != "b" || len(file.Contexts) != 2 || file.Contexts[0].Token != "token-a" || !strings.HasSuffix(file.Contexts[0].CA, "/a.crt") {
		t.Errorf("file %+v", file)
	}
}

// A token is never printed.
func TestContext_HidesTokens(t *testing.T) {
	t.Parallel()
	for _, args := range []string{"context list", "context show", "context list -o json", "context show -o yaml", "status -v"} {
		o := configRun(t, args+" --config DIR/two.yml", nil).do(t)
		if o.exit != 0 || strings.Contains(o.stdout+o.stderr, "token-") {
			t.Errorf("%s: exit %d, %q, %q", args, o.exit, o.stdout, o.stderr)
		}
	}
}

// What the client library refuses, such as a CA file that is not there, is a
// failure like any other.
func TestConnect_ShowsWhyDialFailed(t *testing.T) {
	t.Parallel()
	var stderr strings.Builder
	exit := Run(t.Context(), Process{
		Stdin: strings.NewReader(""), Stdout: &stderr, Stderr: &stderr, Now: clitest.Now.Local,
		LookupEnv: func(name string) (string, bool) {
			v, ok := map[string]string{"RUNWAY_ADDRESS": "127.0.0.1:1", "RUNWAY_CA": "/absent/ca.crt"}[name]
			return v, ok
		},
		Dial: func(c client.Config) (Conn, error) { return client.Dial(c) },
	}, []string{"status"})
	if want := "RW-8108 connect to 127.0.0.1:1: read CA of the cluster: open /absent/ca.crt: no such file or directory\n"; exit != exitUsage || !strings.HasSuffix(stderr.String(), want) {
		t.Errorf("exit %d, stderr %q, want %q", exit, stderr.String(), want)
	}
}
