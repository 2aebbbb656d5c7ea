package api

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/runway-platform/runway/coordinator/client"
	"github.com/runway-platform/runway/coordinator/identity"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// method is one of the server, as reflection shows it.
type method struct {
	name         string
	clientStream bool
	serverStream bool
	input        protoreflect.MessageType
	output       protoreflect.MessageType
}

// methods walks everything that the server answers.
func (b *bench) methods() []method {
	b.t.Helper()
	var all []method
	for service, info := range b.server.GetServiceInfo() {
		descriptor, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service))
		if err != nil {
			b.t.Fatalf("find %s: %v", service, err)
		}
		for _, m := range info.Methods {
			d := descriptor.(protoreflect.ServiceDescriptor).Methods().ByName(protoreflect.Name(m.Name))
			all = append(all, method{
				name: "/" + service + "/" + m.Name, clientStream: m.IsClientStream, serverStream: m.IsServerStream,
				input: b.messageType(d.Input()), output: b.messageType(d.Output()),
			})
		}
	}
	slices.SortFunc(all, func(a, b method) int { return strings.Compare(a.name, b.name) })
	return all
}

func (b *bench) messageType(d protoreflect.MessageDescriptor) protoreflect.MessageType {
	b.t.Helper()
	found, err := protoregistry.GlobalTypes.FindMessageByName(d.FullName())
	if err != nil {
		b.t.Fatalf("find %s: %v", d.FullName(), err)
	}
	return found
}

// call performs a method with a request and returns how it was answered first.
func (m method) call(t *testing.T, conn grpc.ClientConnInterface, request proto.Message) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	answer := m.output.New().Interface()
	if !m.clientStream && !m.serverStream {
		return conn.Invoke(ctx, m.name, request, answer)
	}
	desc := &grpc.StreamDesc{ClientStreams: m.clientStream, ServerStreams: m.serverStream}
	stream, err := conn.NewStream(ctx, desc, m.name)
	if err != nil {
		return err
	}
	if err := stream.SendMsg(request); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	err = stream.RecvMsg(answer)
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// about returns a request of the method that names a space where it can, and a
// service that nobody has, so that a call which is allowed does nothing.
func (m method) about(space string) proto.Message {
	message := m.input.New()
	fields := message.Descriptor().Fields()
	if workload := fields.ByName("workload"); workload != nil && workload.Message() != nil {
		value := key(space, "nobody")
		message.Set(workload, protoreflect.ValueOfMessage(value.ProtoReflect()))
	}
	if field := fields.ByName("space"); field != nil {
		message.Set(field, protoreflect.ValueOfString(space))
	}
	if strings.HasPrefix(m.name, "/runway.v1.Spaces/") && fields.ByName("name") != nil {
		message.Set(fields.ByName("name"), protoreflect.ValueOfString(space))
	}
	return message.Interface()
}

// matrix is RELIABILITY's table, written down a second time by group, so that a
// change of the table in rights.go is noticed here.
var matrix = map[string]string{
	"Identity.Enrol": "open",
	"Identity.Renew": "node ingress",

	"AgentSession.Connect":           "node",
	"AgentSession.UploadLogs":        "node",
	"IngressSession.Connect":         "ingress",
	"IngressSession.SignCertificate": "ingress",

	"ClusterAPI.Info": "node ingress coordinator scraper viewer deployer space_admin operator auditor cluster_admin",
	"Health.Check":    "node ingress coordinator scraper viewer deployer space_admin operator auditor cluster_admin",
	"Health.List":     "node ingress coordinator scraper viewer deployer space_admin operator auditor cluster_admin",
	"Health.Watch":    "node ingress coordinator scraper viewer deployer space_admin operator auditor cluster_admin",

	"ServerReflection.ServerReflectionInfo": "viewer deployer space_admin operator auditor cluster_admin",

	"Spaces.ListSpaces":  "viewer deployer space_admin operator auditor cluster_admin",
	"Spaces.GetSpace":    "viewer deployer space_admin operator auditor cluster_admin",
	"Spaces.CreateSpace": "cluster_admin",
	"Spaces.DeleteSpace": "cluster_admin",

	"Services.ListServices":        "viewer deployer space_admin operator auditor cluster_admin",
	"Services.GetService":          "viewer deployer space_admin operator auditor cluster_admin",
	"Services.ListReplicas":        "viewer deployer space_admin operator auditor cluster_admin",
	"Services.ListRevisions":       "viewer deployer space_admin operator auditor cluster_admin",
	"Services.Why":                 "viewer deployer space_admin operator auditor cluster_admin",
	"Services.ListTraffic":         "viewer deployer space_admin operator auditor cluster_admin",
	"Deployments.GetDeployment":    "viewer deployer space_admin operator auditor cluster_admin",
	"Deployments.ListDeployments":  "viewer deployer space_admin operator auditor cluster_admin",
	"Deployments.WatchDeployment":  "viewer deployer space_admin operator auditor cluster_admin",
	"Services.Logs":                "viewer deployer space_admin cluster_admin",
	"Events.ListEvents":            "viewer deployer space_admin operator cluster_admin",
	"Services.Deploy":              "deployer space_admin cluster_admin",
	"Services.Scale":               "deployer space_admin cluster_admin",
	"Services.Restart":             "deployer space_admin cluster_admin",
	"Services.Rollback":            "deployer space_admin cluster_admin",
	"Deployments.CancelDeployment": "deployer space_admin cluster_admin",
	"Services.DeleteService":       "space_admin cluster_admin",
	"Tokens.CreateToken":           "coordinator space_admin cluster_admin",
	"Tokens.RevokeToken":           "space_admin cluster_admin",
	"Tokens.ListTokens":            "space_admin auditor cluster_admin",
	"Nodes.ListNodes":              "operator auditor cluster_admin",
	"Nodes.ListIngresses":          "operator auditor cluster_admin",
	"Nodes.CreateJoinToken":        "operator cluster_admin",
	"Nodes.SetCordon":              "operator cluster_admin",
	"Nodes.RemoveNode":             "operator cluster_admin",
	"Nodes.RemoveIngress":          "operator cluster_admin",
	"Nodes.AcceptRoutes":           "operator cluster_admin",
}

// short is Service.Method.
func (m method) short() string {
	parts := strings.Split(strings.TrimPrefix(m.name, "/"), "/")
	service := parts[0][strings.LastIndex(parts[0], ".")+1:]
	return service + "." + parts[1]
}

func roleName(role runwayv1.Role) string {
	return strings.ToLower(strings.TrimPrefix(role.String(), "ROLE_"))
}

func TestRights_EveryMethodHasARow(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	served := map[string]bool{}
	for _, m := range b.methods() {
		served[m.name] = true
		if _, ok := rights[m.name]; !ok {
			t.Errorf("%s has no row in the table of rights: it is denied to everybody", m.name)
		}
		if _, ok := matrix[m.short()]; !ok {
			t.Errorf("%s has no row in this test", m.short())
		}
	}
	for name := range rights {
		if !served[name] {
			t.Errorf("%s has a right but no server", name)
		}
	}
	if len(served) < 35 {
		t.Errorf("only %d methods found", len(served))
	}
}

func TestRights_EveryMethodAsEveryRole(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, m := range b.methods() {
		for _, role := range everybody {
			allowed := slices.Contains(strings.Fields(matrix[m.short()]), roleName(role))
			err := m.call(t, b.as(role), m.about("own"))
			refused := status.Code(err) == codes.PermissionDenied && strings.Contains(err.Error(), "may not call")
			if matrix[m.short()] != "open" && allowed == refused {
				t.Errorf("%s as %s: %v, allowed %v", m.short(), roleName(role), err, allowed)
			}
			if status.Code(err) == codes.Internal || status.Code(err) == codes.Unknown {
				t.Errorf("%s as %s: %v", m.short(), roleName(role), err)
			}
		}
	}
}

// TestRights_ForeignIsLikeMissing calls every method about a space that belongs to
// others and about one that does not exist: the answers differ in nothing but the
// name that was asked for.
func TestRights_ForeignIsLikeMissing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.deploy("foreign", "nobody") // the service of the requests does exist there
	for _, m := range b.methods() {
		if rights[m.name].space == nil {
			continue
		}
		for _, role := range []runwayv1.Role{viewer, deployer, spaceAdmin} {
			if !rights[m.name].allows(role) {
				continue
			}
			foreign, missing := m.call(t, b.as(role), m.about("foreign")), m.call(t, b.as(role), m.about("nowhere"))
			if status.Code(foreign) != codes.NotFound {
				t.Errorf("%s as %s about a foreign space: %v", m.short(), roleName(role), foreign)
				continue
			}
			if got := strings.ReplaceAll(foreign.Error(), "foreign", "nowhere"); got != missing.Error() {
				t.Errorf("%s as %s: foreign %q, missing %q", m.short(), roleName(role), got, missing)
			}
		}
	}
}

// TestRights_SimilarNamesAreOthers has a token for space own; spaces whose names
// begin with it, or look like it, are not its own.
func TestRights_SimilarNamesAreOthers(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	services := runwayv1.NewServicesClient(b.as(viewer))
	for _, space := range []string{"ow", "owner", "Own", "own ", "own/", "оwn", "own\x00", "*", "."} {
		_, err := services.ListServices(testContext(t), &runwayv1.ListServicesRequest{Space: space})
		if status.Code(err) != codes.NotFound && !strings.Contains(sprint(err), "invalid UTF-8") {
			t.Errorf("ListServices of %q: %v", space, err)
		}
	}
}

func TestRights_NobodyIsUnauthenticatedEverywhere(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	secret := b.token(admin, time.Time{})
	callers := map[string]*client.Conn{
		"without a token":     b.connect(client.Config{}),
		"with a wrong token":  b.connect(client.Config{Token: secret[:len(secret)-1] + "g"}),
		"with another secret": b.connect(client.Config{Token: "rwt_" + strings.Repeat("0", 64)}),
		"with a join token":   b.connect(client.Config{Token: b.joinToken(node, time.Hour)}),
	}
	for name, conn := range callers {
		for _, m := range b.methods() {
			if err := m.call(t, conn, m.about("own")); status.Code(err) != codes.Unauthenticated {
				t.Errorf("%s %s: %v, want Unauthenticated", m.short(), name, err)
			}
		}
	}
}

func TestRights_ExpiredTokenIsNobody(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	conn := b.connect(client.Config{Token: b.token(admin, time.Now().Add(-time.Second))})
	for _, m := range b.methods() {
		if m.short() == "Identity.Enrol" || m.short() == "Identity.Renew" {
			continue
		}
		err := m.call(t, conn, m.about("own"))
		if status.Code(err) != codes.Unauthenticated {
			t.Errorf("%s with an expired token: %v", m.short(), err)
			continue
		}
		wantCode(t, err, code.TokenExpired)
	}
}

func TestRights_ExpiredMachineMayOnlyRenew(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	conn := b.connect(client.Config{Identity: b.machineAt(node, "node-1", time.Now().Add(-31*24*time.Hour))})
	for _, m := range b.methods() {
		if m.short() == "Identity.Enrol" {
			continue
		}
		err := m.call(t, conn, m.about("own"))
		if want := m.short() != "Identity.Renew"; want != (status.Code(err) == codes.Unauthenticated) {
			t.Errorf("%s with an expired certificate: %v", m.short(), err)
		}
	}
}

func TestRights_MachineOfAnotherClusterIsNobody(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	theirs, err := identity.NewAuthority("other", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	ours := b.authority
	b.authority = theirs
	stranger := b.machine(coordinator, "k1")
	b.authority = ours
	// The stranger would not trust this coordinator either; let it.
	conn := b.connect(client.Config{Identity: stranger})
	_, err = runwayv1.NewClusterAPIClient(conn).Info(testContext(t), &runwayv1.InfoRequest{})
	wantCode(t, err, code.WrongCA)
}

func TestRights_FollowerAnswersOnlyWhatMayBeOld(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, role := range everybody {
		b.as(role)
	}
	b.follows.Store(true)
	anywhere := map[string]bool{"ClusterAPI.Info": true, "Health.Check": true, "Health.List": true, "Health.Watch": true, "ServerReflection.ServerReflectionInfo": true}
	for _, m := range b.methods() {
		for _, role := range everybody {
			leader := m.call(t, b.as(role), m.about("own"))
			if !rights[m.name].allows(role) {
				// Decided alike by leader and follower: rights come before leadership.
				if matrix[m.short()] != "open" && status.Code(leader) != codes.PermissionDenied {
					t.Errorf("%s as %s at a follower: %v", m.short(), roleName(role), leader)
				}
				continue
			}
			noLeader := client.CauseOf(leader).GetCode() == string(code.NoLeader)
			if anywhere[m.short()] == noLeader {
				t.Errorf("%s as %s at a follower: %v", m.short(), roleName(role), leader)
			}
		}
	}
}

// A state that is behind does not know every credential; only the leader may say
// that there is no such caller.
func TestRights_FollowerTurnsNobodyAwayForGood(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	stranger, err := identity.NewBearer()
	if err != nil {
		t.Fatal(err)
	}
	ask := func() error {
		conn := b.connect(client.Config{Token: stranger})
		_, err := runwayv1.NewSpacesClient(conn).ListSpaces(testContext(t), &runwayv1.ListSpacesRequest{})
		return err
	}
	wantCode(t, ask(), code.Unauthenticated)
	b.follows.Store(true)
	wantCode(t, ask(), code.NoLeader)
}

func TestRights_DenialsAreRecorded(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_, err := runwayv1.NewSpacesClient(b.as(viewer)).CreateSpace(testContext(t), &runwayv1.CreateSpaceRequest{Name: "evil"})
	wantCode(t, err, code.PermissionDenied)
	for _, part := range []string{"method=/runway.v1.Spaces/CreateSpace", "caller=role_viewer", "decision=PermissionDenied"} {
		if !strings.Contains(b.log.String(), part) {
			t.Errorf("no %q in the record:\n%s", part, b.log.String())
		}
	}
}

func TestMatrix_NamesEveryRight(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for name := range rights {
		names[method{name: name}.short()] = true
	}
	for _, name := range slices.Sorted(maps.Keys(matrix)) {
		if !names[name] {
			t.Errorf("%s is in the test and in no right", name)
		}
	}
}

func TestHealth_SaysWhoWouldAnswer(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	service := healthv1.NewHealthClient(b.as(scraper))
	statusOf := func(name string) string {
		answer, err := service.Check(testContext(t), &healthv1.HealthCheckRequest{Service: name})
		if err != nil {
			return sprint(status.Code(err))
		}
		return answer.GetStatus().String()
	}
	for _, tt := range []struct {
		follows  bool
		leader   string
		name     string
		want     string
		listable bool
	}{
		{false, "leader.test:7443", "", "SERVING", true},
		{false, "leader.test:7443", "runway.v1.Services", "SERVING", true},
		{true, "leader.test:7443", "", "SERVING", true},
		{true, "leader.test:7443", "runway.v1.Services", "NOT_SERVING", true},
		{true, "leader.test:7443", "runway.v1.AgentSession", "NOT_SERVING", true},
		{true, "leader.test:7443", "runway.v1.ClusterAPI", "SERVING", true},
		{true, "", "", "NOT_SERVING", true},
		{true, "", "runway.v1.ClusterAPI", "SERVING", true},
		{false, "", "runway.v1.Nothing", "NotFound", false},
	} {
		b.follows.Store(tt.follows)
		b.api.config.Leader = func() (string, bool) { return tt.leader, !tt.follows }
		if got := statusOf(tt.name); got != tt.want {
			t.Errorf("%q with leader %q, follows %t: %s, want %s", tt.name, tt.leader, tt.follows, got, tt.want)
		}
		list, err := service.List(testContext(t), &healthv1.HealthListRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if listed := list.GetStatuses()[tt.name]; (listed != nil) != tt.listable || tt.listable && listed.GetStatus().String() != tt.want {
			t.Errorf("%q is listed as %v, want %s", tt.name, listed, tt.want)
		}
	}
}
