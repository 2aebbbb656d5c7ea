package api

import (
	"slices"

	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionv1alpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// right is who may call a method, and for what.
type right struct {
	// roles that may call. None may when it is empty.
	roles []runwayv1.Role
	// open methods need no caller: the request itself carries the credential.
	open bool
	// expired machines may call: only to renew.
	expired bool
	// anywhere is answered by followers as well.
	anywhere bool
	// writes are recorded.
	writes bool
	// space returns the space that a request is about; nil when it is about none, or
	// when the handler looks at each object.
	space func(request any) (space string, all bool)
}

// Roles, and the groups that rights are given to.
const (
	node        = runwayv1.Role_ROLE_NODE
	ingress     = runwayv1.Role_ROLE_INGRESS
	coordinator = runwayv1.Role_ROLE_COORDINATOR
	viewer      = runwayv1.Role_ROLE_VIEWER
	deployer    = runwayv1.Role_ROLE_DEPLOYER
	spaceAdmin  = runwayv1.Role_ROLE_SPACE_ADMIN
	operator    = runwayv1.Role_ROLE_OPERATOR
	auditor     = runwayv1.Role_ROLE_AUDITOR
	admin       = runwayv1.Role_ROLE_CLUSTER_ADMIN
	scraper     = runwayv1.Role_ROLE_SCRAPER
)

var (
	everybody = []runwayv1.Role{node, ingress, coordinator, viewer, deployer, spaceAdmin, operator, auditor, admin, scraper}
	// machines that ask for a new certificate; coordinators make their own.
	machines = []runwayv1.Role{node, ingress}
	people   = []runwayv1.Role{viewer, deployer, spaceAdmin, operator, auditor, admin}
	readers  = people
	// logReaders: lines may hold users' data, so operators need more than their role.
	logReaders = []runwayv1.Role{viewer, deployer, spaceAdmin, admin}
	watchers   = []runwayv1.Role{viewer, deployer, spaceAdmin, operator, admin}
	deployers  = []runwayv1.Role{deployer, spaceAdmin, admin}
	deleters   = []runwayv1.Role{spaceAdmin, admin}
	operators  = []runwayv1.Role{operator, admin}
	overseers  = []runwayv1.Role{operator, auditor, admin}
	admins     = []runwayv1.Role{admin}
	// tokenMakers: a coordinator may make a token of an admin, and nothing else; its
	// key is on the machine that also holds the key of every secret. It is the way
	// back when the last admin's token is lost or has expired.
	tokenMakers = []runwayv1.Role{coordinator, spaceAdmin, admin}
)

// rights is the one table of who may do what. A method without a row is denied to
// everybody, and a test fails.
var rights = map[string]right{
	runwayv1.Identity_Enrol_FullMethodName: {open: true, writes: true},
	runwayv1.Identity_Renew_FullMethodName: {roles: machines, expired: true, writes: true},

	runwayv1.AgentSession_Connect_FullMethodName:           {roles: []runwayv1.Role{node}},
	runwayv1.AgentSession_UploadLogs_FullMethodName:        {roles: []runwayv1.Role{node}},
	runwayv1.IngressSession_Connect_FullMethodName:         {roles: []runwayv1.Role{ingress}},
	runwayv1.IngressSession_SignCertificate_FullMethodName: {roles: []runwayv1.Role{ingress}, writes: true},

	runwayv1.ClusterAPI_Info_FullMethodName: {roles: everybody, anywhere: true},

	runwayv1.Spaces_ListSpaces_FullMethodName:  {roles: readers},
	runwayv1.Spaces_GetSpace_FullMethodName:    {roles: readers, space: ofName},
	runwayv1.Spaces_CreateSpace_FullMethodName: {roles: admins, writes: true, space: ofName},
	runwayv1.Spaces_DeleteSpace_FullMethodName: {roles: admins, writes: true, space: ofName},

	runwayv1.Services_ListServices_FullMethodName:  {roles: readers, space: ofSpaceOrAll},
	runwayv1.Services_GetService_FullMethodName:    {roles: readers, space: ofWorkload},
	runwayv1.Services_ListReplicas_FullMethodName:  {roles: readers, space: ofWorkloadOrAll},
	runwayv1.Services_ListRevisions_FullMethodName: {roles: readers, space: ofWorkload},
	runwayv1.Services_Why_FullMethodName:           {roles: readers, space: ofWorkload},
	runwayv1.Services_ListTraffic_FullMethodName:   {roles: readers, space: ofSpaceOrAll},
	runwayv1.Services_Logs_FullMethodName:          {roles: logReaders, space: ofWorkload},
	runwayv1.Services_Deploy_FullMethodName:        {roles: deployers, writes: true, space: ofWorkload},
	runwayv1.Services_Scale_FullMethodName:         {roles: deployers, writes: true, space: ofWorkload},
	runwayv1.Services_Restart_FullMethodName:       {roles: deployers, writes: true, space: ofWorkload},
	runwayv1.Services_Rollback_FullMethodName:      {roles: deployers, writes: true, space: ofWorkload},
	runwayv1.Services_DeleteService_FullMethodName: {roles: deleters, writes: true, space: ofWorkload},

	runwayv1.Deployments_GetDeployment_FullMethodName:    {roles: readers},
	runwayv1.Deployments_ListDeployments_FullMethodName:  {roles: readers, space: ofWorkloadOrAll},
	runwayv1.Deployments_WatchDeployment_FullMethodName:  {roles: readers},
	runwayv1.Deployments_CancelDeployment_FullMethodName: {roles: deployers, writes: true},

	runwayv1.Nodes_ListNodes_FullMethodName:       {roles: overseers},
	runwayv1.Nodes_ListIngresses_FullMethodName:   {roles: overseers},
	runwayv1.Nodes_CreateJoinToken_FullMethodName: {roles: operators, writes: true},
	runwayv1.Nodes_SetCordon_FullMethodName:       {roles: operators, writes: true},
	runwayv1.Nodes_RemoveNode_FullMethodName:      {roles: operators, writes: true},
	runwayv1.Nodes_RemoveIngress_FullMethodName:   {roles: operators, writes: true},
	runwayv1.Nodes_AcceptRoutes_FullMethodName:    {roles: operators, writes: true},

	runwayv1.Events_ListEvents_FullMethodName: {roles: watchers, space: ofWorkloadOrAll},

	runwayv1.Tokens_CreateToken_FullMethodName: {roles: tokenMakers, writes: true},
	runwayv1.Tokens_ListTokens_FullMethodName:  {roles: []runwayv1.Role{spaceAdmin, auditor, admin}},
	runwayv1.Tokens_RevokeToken_FullMethodName: {roles: deleters, writes: true},

	healthv1.Health_Check_FullMethodName: {roles: everybody, anywhere: true},
	healthv1.Health_List_FullMethodName:  {roles: everybody, anywhere: true},
	healthv1.Health_Watch_FullMethodName: {roles: everybody, anywhere: true},

	reflectionv1.ServerReflection_ServerReflectionInfo_FullMethodName:      {roles: people, anywhere: true},
	reflectionv1alpha.ServerReflection_ServerReflectionInfo_FullMethodName: {roles: people, anywhere: true},
}

func (r right) allows(role runwayv1.Role) bool { return slices.Contains(r.roles, role) }

// What a request is about. A request that names no space is about all of them only
// where the handler leaves out what the caller does not see.

func ofWorkload(request any) (string, bool) {
	r, ok := request.(interface{ GetWorkload() *runwayv1.WorkloadKey })
	if !ok {
		return "", false
	}
	return r.GetWorkload().GetSpace(), false
}

func ofWorkloadOrAll(request any) (string, bool) {
	space, _ := ofWorkload(request)
	return space, space == ""
}

func ofName(request any) (string, bool) {
	r, ok := request.(interface{ GetName() string })
	if !ok {
		return "", false
	}
	return r.GetName(), false
}

func ofSpaceOrAll(request any) (string, bool) {
	r, ok := request.(interface{ GetSpace() string })
	if !ok {
		return "", false
	}
	return r.GetSpace(), r.GetSpace() == ""
}
