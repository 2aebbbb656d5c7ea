package main

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// execute runs one command line of runway, as main does.
func execute(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var output bytes.Buffer
	cmd := newCommand()
	cmd.SetOut(&output)
	cmd.SetErr(&output)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(t.Context())
	return output.String(), err
}

// What the flags of an ingress say reaches its configuration.
func TestIngress_TrustedProxies(t *testing.T) {
	for _, test := range []struct {
		given []string
		want  []netip.Prefix
		err   string
	}{
		{nil, nil, ""},
		{[]string{"10.0.0.0/8", "fd00::/8"}, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}, ""},
		{[]string{"10.0.0.1"}, nil, "trusted-proxies:"},
		{[]string{"anybody"}, nil, "trusted-proxies:"},
	} {
		s := &ingressSettings{trustedProxies: test.given}
		got, err := s.config(nil, newLogger())
		if test.err != "" {
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%v: got %v, want %q", test.given, err, test.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%v: %v", test.given, err)
		}
		if diff := cmp.Diff(test.want, got.TrustedProxies, cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
			t.Errorf("%v (-want +got):\n%s", test.given, diff)
		}
	}
}

// Ports for SRV records and printed addresses come from the first listener.
func TestIngress_FactsFollowTheListeners(t *testing.T) {
	s := &ingressSettings{}
	s.ingress.HTTP, s.ingress.HTTPS, s.ingress.InternalHTTP = []string{":80", ":81"}, []string{"127.0.0.1:8443"}, []string{"127.0.0.1:10080"}
	got, err := s.config(nil, newLogger())
	if err != nil {
		t.Fatal(err)
	}
	if f := got.Facts; f.GetHttpPort() != 80 || f.GetHttpsPort() != 8443 || f.GetInternalHttp() != "127.0.0.1:10080" || f.GetVersion() != version {
		t.Errorf("facts %v", f)
	}
	if companions, err := s.companions(nil, newLogger()); err != nil || len(companions) != 0 {
		t.Errorf("a DNS server runs that nobody asked for: %d, %v", len(companions), err)
	}
}

func TestPortOf(t *testing.T) {
	for _, test := range []struct {
		addresses []string
		want      uint32
	}{{nil, 0}, {[]string{":443"}, 443}, {[]string{"[::1]:8443", ":1"}, 8443}, {[]string{"localhost"}, 0}, {[]string{"x:http"}, 0}} {
		if got := portOf(test.addresses); got != test.want {
			t.Errorf("portOf(%v) = %d, want %d", test.addresses, got, test.want)
		}
	}
}

// What an agent cannot be told is refused before anything of the machine is touched.
func TestAgent_RefusesNetworksThatAreNone(t *testing.T) {
	for flag, value := range map[string]string{"subnet": "10.0.0.0", "replica-network": "x", "node-address": "host", "deny-egress": "10.0.0.1"} {
		s := nodeSettings{replicas: "10.64.0.0/16", instance: "x"}
		s.agent.Subnet, s.agent.Address = "10.64.1.0/24", "10.0.0.7"
		switch flag {
		case "subnet":
			s.agent.Subnet = value
		case "replica-network":
			s.replicas = value
		case "node-address":
			s.agent.Address = value
		case "deny-egress":
			s.denyEgress = []string{value}
		}
		if _, err := s.newNetwork(newLogger()); err == nil || !strings.HasPrefix(err.Error(), flag+": ") {
			t.Errorf("%s %q: got %v", flag, value, err)
		}
	}
}

// Parts that join say which setting they lack, and that a containerd does not answer.
func TestMembers_SayWhatTheyLack(t *testing.T) {
	dir := t.TempDir()
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"agent", "--data-dir", dir}, "coordinator is empty: name at least one, host:port"},
		{[]string{"ingress", "--data-dir", dir}, "coordinator is empty: name at least one, host:port"},
		{[]string{"agent", "remove", "--data-dir", dir}, "node-address: "},
		{[]string{"agent", "remove", "--data-dir", dir, "--node-address", "10.0.0.7", "--containerd", filepath.Join(dir, "none.sock")}, "none.sock"},
		{[]string{"coordinator", "--data-dir", filepath.Join(dir, "c"), "--listen", "127.0.0.1:0", "--advertise", "127.0.0.1:7443"}, "bootstrap"},
		{[]string{"coordinator", "--data-dir", filepath.Join(dir, "c")}, `advertise "0.0.0.0:7443" is no address that others can reach`},
	} {
		if _, err := execute(t, test.args...); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v: got %v, want %q", test.args, err, test.want)
		}
	}
}

// The subcommands of dev mean the directory of --data-dir or its variable.
func TestDev_CommandsOfADirectory(t *testing.T) {
	foreign := t.TempDir()
	if err := os.WriteFile(filepath.Join(foreign, "precious"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	absent := filepath.Join(t.TempDir(), "absent")
	t.Setenv("RUNWAY_DATA_DIR", absent)
	for _, test := range []struct {
		args []string
		want string // of the error; empty for none
	}{
		{[]string{"status"}, "no cluster runs from " + absent},
		{[]string{"status", "--data-dir", foreign}, "no cluster runs from " + foreign},
		{[]string{"stop"}, ""},
		{[]string{"remove"}, ""},
		{[]string{"remove", "--data-dir", foreign}, "nothing was removed"},
	} {
		_, err := execute(t, append([]string{"dev"}, test.args...)...)
		if (err == nil) != (test.want == "") || (err != nil && !strings.Contains(err.Error(), test.want)) {
			t.Errorf("dev %v: got %v, want %q", test.args, err, test.want)
		}
	}
	if entries, err := os.ReadDir(foreign); err != nil || len(entries) != 1 {
		t.Errorf("the folder of somebody else has %v, %v", entries, err)
	}
}

func TestCommand_NamesItsParts(t *testing.T) {
	output, err := execute(t, "--help")
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"coordinator", "agent", "ingress", "dev"} {
		if !slices.ContainsFunc(strings.Split(output, "\n"), func(line string) bool { return strings.HasPrefix(strings.TrimSpace(line), part+" ") }) {
			t.Errorf("%s is missing in:\n%s", part, output)
		}
	}
}
