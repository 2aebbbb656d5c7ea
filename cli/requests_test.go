package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// What flags say reaches the coordinator.
func TestRequests_CarryTheFlags(t *testing.T) {
	t.Parallel()
	web := &runwayv1.WorkloadKey{Space: "default", Service: "web", Environment: "production"}
	for _, test := range []struct {
		args, method string
		want         proto.Message
	}{
		{"scale web 6", "Scale", &runwayv1.ScaleRequest{Workload: web, Count: 6}},
		{"scale web 6 --region west", "Scale", &runwayv1.ScaleRequest{Workload: web, Count: 6, Region: "west"}},
		{"scale web 0 -e staging -s shop", "Scale", &runwayv1.ScaleRequest{Workload: &runwayv1.WorkloadKey{Space: "shop", Service: "web", Environment: "staging"}}},
		{"nodes join-token", "CreateJoinToken", &runwayv1.CreateJoinTokenRequest{Role: runwayv1.Role_ROLE_NODE, Uses: 1, Ttl: durationpb.New(time.Hour)}},
		{"nodes join-token --role ingress --uses 3 --ttl 10m", "CreateJoinToken",
			&runwayv1.CreateJoinTokenRequest{Role: runwayv1.Role_ROLE_INGRESS, Uses: 3, Ttl: durationpb.New(10 * time.Minute)}},
		{"nodes join-token --role ingress", "CreateJoinToken", &runwayv1.CreateJoinTokenRequest{Role: runwayv1.Role_ROLE_INGRESS, Uses: 1, Ttl: durationpb.New(time.Hour)}},
		{"spaces create shop --restricted", "CreateSpace", &runwayv1.CreateSpaceRequest{Name: "shop", Restricted: true}},
		{"spaces create shop --description x", "CreateSpace", &runwayv1.CreateSpaceRequest{Name: "shop", Description: "x"}},
		{"spaces delete gone --with-services -y", "DeleteSpace", &runwayv1.DeleteSpaceRequest{Name: "gone", WithServices: true}},
	} {
		t.Run(test.args, func(t *testing.T) {
			t.Parallel()
			r := &run{fake: fullCluster(), args: test.args}
			r.do(t)
			sent := r.fake.Requests(test.method)
			if len(sent) != 1 {
				t.Fatalf("%d requests", len(sent))
			}
			if diff := cmp.Diff(test.want, sent[0], protocmp.Transform()); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRequests_NonsenseIsNotSent(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"scale web -1":                        "RW-8108 ",
		"scale web 1.5":                       `RW-8108 COUNT "1.5" is not a whole number`,
		"nodes join-token --uses 0":           "RW-8108 --ttl and --uses must be positive",
		"nodes join-token --ttl 0s":           "RW-8108 --ttl and --uses must be positive",
		"nodes join-token --role all":         `RW-8108 --role "all" is neither node nor ingress`,
		"nodes join-token --role coordinator": `RW-8108 --role "coordinator" is neither node nor ingress`,
	} {
		r := &run{fake: fullCluster(), args: args}
		o := r.do(t)
		if o.exit != exitUsage || !strings.Contains(o.stderr, want) || len(r.fake.Requests("Scale"))+len(r.fake.Requests("CreateJoinToken")) > 0 {
			t.Errorf("%s: exit %d, %q, want %q and no request", args, o.exit, o.stderr, want)
		}
	}
}

// Who answers for a service is in its status.
func TestStatus_ShowsTheOwners(t *testing.T) {
	t.Parallel()
	f := fullCluster()
	f.AllServices[0].Revision.Spec.Labels = map[string]string{"owner_email_handle": "shop-team", "department": "sales"}
	key := f.AllServices[0].GetWorkload().GetKey()
	o := (&run{fake: f, args: "status " + key.GetService()}).do(t)
	if !strings.Contains(o.stdout, "department=sales owner_email_handle=shop-team\n") {
		t.Errorf("stdout %q, stderr %q", o.stdout, o.stderr)
	}
}
