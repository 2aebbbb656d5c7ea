package agent

import (
	"net/netip"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runway-platform/runway/agent/network"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

func TestContainerSpec_FollowsThePolicyOfTheSpace(t *testing.T) {
	t.Parallel()
	for _, restricted := range []bool{false, true} {
		o := order{replica: "a", place: &network.Attachment{}, want: &runwayv1.Assignment{Restricted: restricted}}
		if got := containerSpec(o, files{}, "spool"); got.Restricted != restricted {
			t.Errorf("restricted: got %v, want %v", got.Restricted, restricted)
		}
	}
}

// A replica asks the gateway alone, and asks again soon when an answer is lost; it knows localhost and its own name.
func TestFiles_OfAReplica(t *testing.T) {
	t.Parallel()
	place := network.Attachment{IP: netip.MustParseAddr("10.64.1.7"), Gateway: netip.MustParseAddr("10.64.1.1")}
	shown, err := Config{DataDir: t.TempDir()}.writeFiles("web-1", place)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		shown.resolvConf: "nameserver 10.64.1.1\noptions timeout:1 attempts:5\n",
		shown.hosts:      "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost\n10.64.1.7\tweb-1\n",
	} {
		text, err := os.ReadFile(path)
		if diff := cmp.Diff(want, string(text)); diff != "" || err != nil {
			t.Errorf("%s, %v (-want +got):\n%s", path, err, diff)
		}
	}
}
