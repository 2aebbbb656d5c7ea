package code

// Codes by thousand: 1 deployment and replica, 2 placement, 3 image, 4 ingress,
// DNS and TLS, 5 node and runtime, 6 cluster, Raft and disk, 7 identity and
// rights, 8 manifest.
const (
	DeploymentDeadline   Code = "RW-1001"
	DeploymentSuperseded Code = "RW-1002"
	DeploymentCancelled  Code = "RW-1003"
	DeploymentNotFound   Code = "RW-1004"
	DeploymentGoesOn     Code = "RW-1005"
	ReportMissing        Code = "RW-1006"
	ExitedDuringStart    Code = "RW-1101"
	CrashLoop            Code = "RW-1102"
	OutOfMemory          Code = "RW-1103"
	PortNeverBound       Code = "RW-1201"
	ProbeTimeout         Code = "RW-1202"
	ProbeFailed          Code = "RW-1203"
	LivenessFailed       Code = "RW-1204"
	ServiceNotFound      Code = "RW-1301"
	ServiceDeleting      Code = "RW-1302"
	ReplicaNotFound      Code = "RW-1303"
	ScaleOutOfBounds     Code = "RW-1304"
	NothingDeployed      Code = "RW-1305"
	LogsUnavailable      Code = "RW-1306"
	NothingBefore        Code = "RW-1307"
	RevisionNotFound     Code = "RW-1308"
	RequestsUnserved     Code = "RW-1401"
	RequestsFail         Code = "RW-1402"
	RequestsSlow         Code = "RW-1403"
	Unplaceable          Code = "RW-2001"
	LargerThanAnyNode    Code = "RW-2002"
	NodePortsExhausted   Code = "RW-2003"
	ImageNotFound        Code = "RW-3001"
	ImageDenied          Code = "RW-3002"
	ImagePlatform        Code = "RW-3003"
	RegistryUnreachable  Code = "RW-3004"
	ImageInvalid         Code = "RW-3005"
	ImageArchiveInvalid  Code = "RW-3006"
	NoRegistry           Code = "RW-3007"
	ImageSlow            Code = "RW-3008"
	UnknownHost          Code = "RW-4001"
	NoHealthyReplica     Code = "RW-4002"
	UpstreamRefused      Code = "RW-4003"
	UpstreamTimeout      Code = "RW-4004"
	BodyTooLarge         Code = "RW-4005"
	HostMismatch         Code = "RW-4006"
	UpstreamBroken       Code = "RW-4007"
	WrongReplica         Code = "RW-4008"
	CertificateFailed    Code = "RW-4101"
	RouteRefused         Code = "RW-4201"
	RoutesWithheld       Code = "RW-4202"
	IngressLost          Code = "RW-4203"
	ListenerFailed       Code = "RW-4301"
	RuntimeUnavailable   Code = "RW-5001"
	NetworkFailed        Code = "RW-5002"
	NodeDown             Code = "RW-5003"
	NodePortTaken        Code = "RW-5004"
	ContainerFailed      Code = "RW-5005"
	DriftRepaired        Code = "RW-5101"
	MachinePartMissing   Code = "RW-5201"
	MachinePartOld       Code = "RW-5202"
	KernelFeatureMissing Code = "RW-5203"
	NoLeader             Code = "RW-6001"
	Unreachable          Code = "RW-6002"
	DataDirectoryEmpty   Code = "RW-6003"
	DataDirectoryInUse   Code = "RW-6004"
	LogCorrupt           Code = "RW-6005"
	SnapshotCorrupt      Code = "RW-6006"
	UnknownCommand       Code = "RW-6007"
	DiskSlow             Code = "RW-6008"
	Internal             Code = "RW-6009"
	TooManyRequests      Code = "RW-6010"
	DiskFull             Code = "RW-6011"
	DiskFailed           Code = "RW-6012"
	ClocksDiffer         Code = "RW-6101"
	VersionsDiffer       Code = "RW-6102"
	Unauthenticated      Code = "RW-7001"
	PermissionDenied     Code = "RW-7002"
	TokenExpired         Code = "RW-7003"
	JoinTokenInvalid     Code = "RW-7004"
	WrongCA              Code = "RW-7005"
	MachineRemoved       Code = "RW-7006"
	CredentialEnds       Code = "RW-7007"
	ManifestUnreadable   Code = "RW-8001"
	ManifestSyntax       Code = "RW-8002"
	ManifestUnknownField Code = "RW-8003"
	ManifestNotBuilt     Code = "RW-8004"
	ManifestValue        Code = "RW-8005"
	ManifestDuplicate    Code = "RW-8006"
	ManifestMissing      Code = "RW-8007"
	NameInvalid          Code = "RW-8101"
	SpaceNotFound        Code = "RW-8102"
	SpaceExists          Code = "RW-8103"
	SpaceNotEmpty        Code = "RW-8104"
	SpaceNotReady        Code = "RW-8105"
	EnvironmentVariable  Code = "RW-8106"
	Conflict             Code = "RW-8107"
	Usage                Code = "RW-8108"
	SpecInvalid          Code = "RW-8109"
	Interrupted          Code = "RW-8110"
	WaitEnded            Code = "RW-8111"
)

var table = []Entry{
	{DeploymentDeadline, "deployment_deadline", "the deployment made no progress in time", "replicas neither became ready nor failed", "see `runwayctl why SERVICE` and `runwayctl logs SERVICE`"},
	{DeploymentSuperseded, "deployment_superseded", "a newer deployment took over", "somebody deployed the same service again", "follow the newer one with `runwayctl deployments list`"},
	{DeploymentCancelled, "deployment_cancelled", "the deployment was cancelled", "a user asked for it", "deploy again when ready"},
	{DeploymentNotFound, "deployment_not_found", "there is no such deployment", "a mistyped id, or it is older than the kept history", "list them with `runwayctl deployments list`"},
	{DeploymentGoesOn, "deployment_goes_on", "the wait ended before the deployment", "--timeout passed, or the command was interrupted", "follow it with `runwayctl deployments attach ID`"},
	{ReportMissing, "report_missing", "the deployment has no report", "it is in progress, or another coordinator began to lead when it ended", "see `runwayctl deployments show ID`"},
	{ExitedDuringStart, "exited_during_start", "the process exited before it was ready", "a crash, a missing setting or a command that ends by itself", "read the last lines of the log; run the image locally with the same environment"},
	{CrashLoop, "crash_loop", "the process keeps exiting", "a crash under load or a dependency that is away", "read `runwayctl logs SERVICE --previous`"},
	{OutOfMemory, "out_of_memory", "the kernel killed the process at its memory limit", "the limit is below what the process needs", "raise resources.limits.memory or reduce what the process keeps"},
	{PortNeverBound, "port_never_bound", "the process runs but does not listen on its port", "another port, or only on loopback", "listen on 0.0.0.0:$PORT, or set container_port to the port that is used"},
	{ProbeTimeout, "probe_timeout", "the probe got no answer in time", "the process is busy or blocked", "raise timeout_seconds, or answer the probe without other work"},
	{ProbeFailed, "probe_failed", "the probe was answered with a failure", "the path is wrong or the process is not ready", "check the path of startup_probe or readiness_probe, and the answer shown"},
	{LivenessFailed, "liveness_failed", "the replica stopped answering its liveness probe", "a deadlock or overload", "the replica was restarted; read `runwayctl logs SERVICE --previous`"},
	{ServiceNotFound, "service_not_found", "there is no such service", "a mistyped name, space or environment", "list them with `runwayctl status`; choose with -s SPACE and -e ENVIRONMENT"},
	{ServiceDeleting, "service_deleting", "the service is being deleted", "somebody asked for it", "wait until it is gone, then deploy again"},
	{ReplicaNotFound, "replica_not_found", "there is no such replica", "it was replaced", "list them with `runwayctl ps SERVICE`"},
	{ScaleOutOfBounds, "scale_out_of_bounds", "the count is outside the service's bounds", "scalability.max_instances is lower", "choose a count within the bounds, or deploy a manifest with other bounds"},
	{NothingDeployed, "nothing_deployed", "the service has no revision that serves", "its first deployment has not succeeded", "deploy it with `runwayctl deploy`"},
	{LogsUnavailable, "logs_unavailable", "the log lines cannot be had", "the node is not connected, or the replica is gone", "see `runwayctl nodes list`"},
	{NothingBefore, "nothing_before", "there is no revision to go back to", "no other revision has served, or the history no longer has it", "choose one of `runwayctl revisions SERVICE` with --to, or deploy again"},
	{RevisionNotFound, "revision_not_found", "there is no such revision", "a mistyped number, or it is older than the kept history", "list them with `runwayctl revisions SERVICE`"},
	{RequestsUnserved, "requests_unserved", "no replica took some of the requests, and the ingresses answered them with 502 or 503", "replicas are starting, stopping or crashed, or listen no more", "see `runwayctl ps SERVICE` and `runwayctl logs SERVICE --previous`; more instances bridge a restart"},
	{RequestsFail, "requests_fail", "the replicas answer some of the requests with an error, or break the connection", "an error in the service, or a dependency that is away", "read `runwayctl logs SERVICE`; if it began with a deployment: `runwayctl rollback SERVICE`"},
	{RequestsSlow, "requests_slow", "some of the requests are answered slowly", "too few replicas, too little processor time, or a slow dependency", "read `runwayctl logs SERVICE`; try `runwayctl scale SERVICE COUNT` or a higher resources.limits.cpu"},
	{Unplaceable, "unplaceable", "no node can take the replica", "the nodes are full, cordoned or excluded by a constraint", "add a node, or lower the reservation"},
	{LargerThanAnyNode, "larger_than_any_node", "the limits are larger than the largest node", "resources.limits names more than one machine has", "lower resources.limits or add a larger node"},
	{NodePortsExhausted, "node_ports_exhausted", "no node port is free", "the range is too small for the replicas of this node", "widen the agent's port range"},
	{ImageNotFound, "image_not_found", "the registry does not have the image", "a mistyped name or tag, or it was never pushed", "check the reference with `skopeo inspect docker://IMAGE`"},
	{ImageDenied, "image_denied", "the registry refused access to the image", "credentials are missing or wrong", "make the image readable to the cluster"},
	{ImagePlatform, "image_platform", "the image is for another architecture", "it was built on another kind of machine", "build it for linux/amd64 or as a multi-platform image"},
	{RegistryUnreachable, "registry_unreachable", "the registry does not answer", "it is down, or its name is wrong", "check the registry's name and that the coordinator and nodes reach it"},
	{ImageInvalid, "image_invalid", "the image cannot be run", "it has no command, an invalid user or a damaged layer", "rebuild the image; the message names the part"},
	{ImageArchiveInvalid, "image_archive_invalid", "the archive is not an image", "the file is truncated or of another kind", "write it with `docker save` or `skopeo copy`; docker-archive: and oci-archive: name the kind"},
	{NoRegistry, "no_registry", "the cluster has no registry for archives", "archives need one to be pushed to", "push the image to your registry and deploy it by reference"},
	{ImageSlow, "image_slow", "the image was not on the node in time", "it is large, its registry is slow, or other pulls of the node came first", "deploy again: what was pulled is kept; make the image smaller, or its registry faster"},
	{UnknownHost, "unknown_host", "no service has this host name", "a mistyped name, or the service is not deployed or not public", "compare with `runwayctl status`"},
	{NoHealthyReplica, "no_healthy_replica", "the service has no ready replica", "all replicas are starting or failing", "see `runwayctl why SERVICE`"},
	{UpstreamRefused, "upstream_refused", "no replica accepted the connection", "replicas are stopping or crashed", "see `runwayctl ps SERVICE`"},
	{UpstreamTimeout, "upstream_timeout", "the replica did not answer in time", "the request takes longer than request_timeout", "raise spec.request_timeout or make the request faster"},
	{BodyTooLarge, "body_too_large", "the request body is larger than allowed", "the limit protects the replicas", "send less, or in parts"},
	{HostMismatch, "host_mismatch", "the request's host differs from the TLS server name", "a connection reused for another host", "open a connection of its own for this host"},
	{UpstreamBroken, "upstream_broken", "the replica broke the connection while answering", "it crashed or was killed", "see `runwayctl why SERVICE`"},
	{WrongReplica, "wrong_replica", "the node port leads to another replica than the route says", "this ingress has not heard of the coordinator for a while and its routes are old", "restore its connection to the coordinators; see runway_ingress_identity_checks_total"},
	{CertificateFailed, "certificate_failed", "no certificate could be had for the name", "the coordinator was not reached or refused", "see the ingress log; the name is served over HTTPS once it succeeds"},
	{RouteRefused, "route_refused", "the ingress refused a route", "the entry is invalid or the set is older than the one in use", "see the ingress log"},
	{RoutesWithheld, "routes_withheld", "the ingress refuses the routes, because too many would go at once without a reason", "a coordinator that lost a part of its state, or deletions longer ago than it remembers", "look at what would go with `runwayctl ingresses list`; when it is meant: `runwayctl routes accept INGRESS`"},
	{IngressLost, "ingress_lost", "the ingress is not heard of, or does not confirm its routes", "the machine or its network is down", "check the machine; when it is gone for good: `runwayctl ingresses rm INGRESS`"},
	{ListenerFailed, "listener_failed", "the ingress can take no more connections on an address and ends", "the socket was closed or the machine ran out of something", "its supervisor starts it again; see the error of the system"},
	{RuntimeUnavailable, "runtime_unavailable", "containerd does not answer", "it is stopped or overloaded", "restart containerd on the node; replicas keep running"},
	{NetworkFailed, "network_failed", "the replica's network could not be made", "CNI plugins or nftables are missing, or the rules cannot be loaded", "see the agent's log on the node"},
	{NodeDown, "node_down", "the node is not heard of", "the machine or its network is down", "check the machine; its replicas are replaced"},
	{NodePortTaken, "node_port_taken", "the node port is in use by somebody else", "another process on the machine listens on it", "move that process out of the agent's port range"},
	{ContainerFailed, "container_failed", "the container could not be started", "the runtime refused it", "see the message; check the image's command and user"},
	{DriftRepaired, "drift_repaired", "something on the node differed from what is desired, and was repaired", "somebody changed it by hand", "change it through Runway instead"},
	{MachinePartMissing, "machine_part_missing", "a program that nodes run is missing on the machine", "it was not installed", "install the package that is named"},
	{MachinePartOld, "machine_part_old", "a program or the kernel of the machine is older than it should be", "the distribution's package, or an update that was not made", "install the version that is named, or a newer one"},
	{KernelFeatureMissing, "kernel_feature_missing", "the kernel of the machine lacks what nodes need", "a kernel made for something else, or a container that hides it", "boot the distribution's kernel; nodes do not run inside containers"},
	{NoLeader, "no_leader", "the cluster has no leader", "a majority of coordinators is not reachable", "bring coordinators back; services go on serving"},
	{Unreachable, "unreachable", "the coordinator does not answer", "it is down, or the address is wrong", "check --config and that the coordinator runs"},
	{DataDirectoryEmpty, "data_directory_empty", "the data directory is empty", "a new coordinator must be told what it is", "use --bootstrap for the first one, or a join token"},
	{DataDirectoryInUse, "data_directory_in_use", "another process uses the data directory", "a coordinator is already running", "stop it, or use another directory"},
	{LogCorrupt, "log_corrupt", "an entry of the Raft log is damaged", "the disk or the file system lost data", "restore this member from the others: empty its directory and join again"},
	{SnapshotCorrupt, "snapshot_corrupt", "the snapshot is damaged or of another cluster", "a truncated or foreign file", "use another snapshot"},
	{UnknownCommand, "unknown_command", "the log holds a command that this version does not know", "a newer version wrote it", "upgrade this member"},
	{DiskSlow, "disk_slow", "the disk did not finish a write in time", "a hung or overloaded disk", "check the disk; the member has stepped down"},
	{Internal, "internal", "something unexpected happened", "a defect", "report it with the request id and the coordinator's log"},
	{TooManyRequests, "too_many_requests", "too many requests at once", "a loop in a client", "wait and try again"},
	{DiskFull, "disk_full", "the disk of the coordinator has no room for the log", "something else fills it, or it is too small", "make room below the data directory and start the coordinator again; what was acknowledged is there"},
	{DiskFailed, "disk_failed", "the disk of the coordinator refused a write", "a broken disk, or a file system that became read-only", "look at the machine's kernel log; move the data directory to a disk that works"},
	{ClocksDiffer, "clocks_differ", "the clocks of this machine and of the coordinator differ", "one of them does not keep time with others", "run a time service (chrony, systemd-timesyncd) on both"},
	{VersionsDiffer, "versions_differ", "the client and the cluster are of different versions", "one of them was upgraded and the other was not", "install the runwayctl of the cluster's version"},
	{Unauthenticated, "unauthenticated", "the caller is not known", "the token is missing or wrong", "name a token with --token-file or RUNWAY_TOKEN"},
	{PermissionDenied, "permission_denied", "the caller may not do this", "the role of the token does not include it", "ask an administrator for a token with the role"},
	{TokenExpired, "token_expired", "the token has expired", "tokens have a limited life", "ask an administrator for a new one"},
	{JoinTokenInvalid, "join_token_invalid", "the join token is not valid", "it was used, has expired or is for another role", "make a new one with `runwayctl nodes join-token`"},
	{WrongCA, "wrong_ca", "the coordinator's certificate is not from the expected authority", "the address belongs to another cluster, or somebody is in between", "check the address and the CA file"},
	{MachineRemoved, "machine_removed", "the machine was removed from the cluster", "an operator removed it, and its certificate is still valid", "let it join again: empty its data directory and start it with a new join token"},
	{CredentialEnds, "credential_ends", "a token or certificate ends soon or has ended", "they have a limited life", "replace it before it ends: `runwayctl tokens create NAME --role ROLE` makes a token"},
	{ManifestUnreadable, "manifest_unreadable", "the manifest cannot be read", "the file is missing, too large or not text", "name it with -f FILE; write UTF-8"},
	{ManifestSyntax, "manifest_syntax", "the manifest is not valid YAML", "indentation or quoting", "see the line and column"},
	{ManifestUnknownField, "manifest_unknown_field", "the manifest has a field that does not exist", "a mistyped or misplaced key", "use the key that is proposed"},
	{ManifestNotBuilt, "manifest_not_built", "the manifest has a field that is not built yet", "this version does not have the feature", "remove the field"},
	{ManifestValue, "manifest_value", "a value in the manifest is not allowed", "a wrong type or out of range", "use the form that is shown"},
	{ManifestDuplicate, "manifest_duplicate", "the manifest has a key twice", "a copy that was not changed", "remove one of the two"},
	{ManifestMissing, "manifest_missing", "the manifest lacks a required field", "", "add the field"},
	{NameInvalid, "name_invalid", "the name is not allowed", "names become DNS labels", "use lower-case letters, digits and hyphens, at most 63, starting with a letter"},
	{SpaceNotFound, "space_not_found", "there is no such space", "a mistyped name", "list them with `runwayctl spaces list`"},
	{SpaceExists, "space_exists", "the space exists already", "", "choose another name"},
	{SpaceNotEmpty, "space_not_empty", "the space has services", "they would be lost", "delete them first, or add --with-services"},
	{SpaceNotReady, "space_not_ready", "the space is being made or deleted", "", "wait until `runwayctl spaces list` shows it as ready"},
	{EnvironmentVariable, "environment_variable", "the environment variable is not allowed", "a reserved or malformed name", "rename it"},
	{Conflict, "conflict", "somebody else changed it at the same time", "", "look at the present state and try again"},
	{Usage, "usage", "the command line is not complete or not consistent", "", "see --help"},
	{SpecInvalid, "spec_invalid", "the request is not allowed", "a value is missing or out of range", "correct the value that is named"},
	{Interrupted, "interrupted", "the command was interrupted", "somebody pressed Ctrl-C or the process was asked to end", "run it again"},
	{WaitEnded, "wait_ended", "the wait ended before what was asked for was done", "it takes longer than usual; the coordinator goes on with it", "look at it with `runwayctl status` or `runwayctl spaces show NAME`"},
}
