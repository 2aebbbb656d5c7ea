package runway_test

// badInputs is the register of what was thought of. An input that comes up later is
// added here with its case, near the code that answers it.
var badInputs = []badInput{
	// Manifests.
	{id: "manifest-empty", input: "an empty file", cases: []string{"manifest TestParse_RefusesBadManifests/empty"}},
	{id: "manifest-not-yaml", input: "text that is not YAML", cases: []string{"manifest TestParse_RefusesBadManifests/not-yaml"}},
	{id: "manifest-list", input: "a list instead of a mapping", cases: []string{"manifest TestParse_RefusesBadManifests/list"}},
	{id: "manifest-large", input: "a file of 50 MB", cases: []string{"manifest TestLoad_BoundsTimeAndMemory/fifty-megabytes"}},
	{id: "manifest-deep", input: "10,000 levels of flow, block, list and key", cases: []string{
		"manifest TestLoad_BoundsTimeAndMemory/flow-depth", "manifest TestLoad_BoundsTimeAndMemory/block-depth",
		"manifest TestLoad_BoundsTimeAndMemory/sequence-depth", "manifest TestLoad_BoundsTimeAndMemory/question-depth"}},
	{id: "manifest-utf16", input: "UTF-16 in both orders", cases: []string{
		"manifest TestParse_RefusesBadManifests/utf16", "manifest TestParse_RefusesBadManifests/utf16-big-endian"}},
	{id: "manifest-nul", input: "NUL bytes", cases: []string{"manifest TestParse_RefusesBadManifests/nul", "manifest TestLoad_BoundsTimeAndMemory/nul"}},
	{id: "manifest-alias-bomb", input: "billion laughs", cases: []string{
		"manifest TestParse_RefusesBadManifests/alias-bomb", "manifest TestLoad_BoundsTimeAndMemory/alias-bomb"}},
	{id: "manifest-duplicate-key", input: "a key twice", cases: []string{"manifest TestParse_RefusesBadManifests/duplicate-key"}},
	{id: "manifest-wrong-indent", input: "a wrong indent", cases: []string{"manifest TestParse_RefusesBadManifests/wrong-indent"}},
	{id: "manifest-unknown-key", input: "a misspelt key", cases: []string{"manifest TestParse_RefusesBadManifests/unknown-nearest"}},
	{id: "manifest-all-errors", input: "several errors at once", cases: []string{"manifest TestParse_RefusesBadManifests/all-at-once"}},
	{id: "manifest-any-bytes", input: "any bytes", cases: []string{"manifest FuzzParse", "manifest FuzzEnv"}},

	// Quantities, ports and counts.
	{id: "memory-zero", input: "memory: 0", cases: []string{"manifest TestParseMemory_Forms/0", "coordinator/api TestDeploy_Refuses/no memory"}},
	{id: "memory-negative", input: "memory: -1", cases: []string{"manifest TestParseMemory_Forms/-1", "coordinator/api TestDeploy_Refuses/negative memory"}},
	{id: "memory-unit", input: "memory: 8X", cases: []string{"manifest TestParse_RefusesBadManifests/memory-unit", "manifest TestParseMemory_Forms/8X"}},
	{id: "memory-overflow", input: "memory: 1e400Gi", cases: []string{"manifest TestParseMemory_Forms/1e400"}},
	{id: "memory-not-a-number", input: "memory: NaN", cases: []string{"manifest TestParseMemory_Forms/NaN"}},
	{id: "memory-hexadecimal", input: "memory: 0x10", cases: []string{"manifest TestParseMemory_Forms/0x10"}},
	{id: "memory-two-points", input: "memory: 1.5.5", cases: []string{"manifest TestParseMemory_Forms/1.5.5"}},
	{id: "memory-space", input: "memory: 500 m", cases: []string{"manifest TestParseMemory_Forms/1 000", "manifest TestParseMemory_Forms/500 "}},
	{id: "port-zero", input: "port 0", cases: []string{"manifest TestParse_RefusesBadManifests/port-0"}},
	{id: "port-large", input: "ports 65536 and 70000", cases: []string{
		"manifest TestParse_RefusesBadManifests/port-65536", "manifest TestParse_RefusesBadManifests/port-70000", "coordinator/api TestDeploy_Refuses/port 65536"}},
	{id: "port-text", input: `port "80 "`, cases: []string{"manifest TestParse_RefusesBadManifests/port-text"}},
	{id: "scale-min-above-max", input: "min: 10, max: 3", cases: []string{
		"manifest TestParse_RefusesBadManifests/min-above-max", "coordinator/api TestDeploy_Refuses/min above max"}},
	{id: "scale-max-above-quota", input: "max above the quota of the space", notBuilt: "quotas of spaces"},
	{id: "probe-without-pause", input: "a probe period of a nanosecond", cases: []string{"coordinator/api TestDeploy_Refuses/probe without end", "agent FuzzAssignments"}},

	// Names.
	{id: "name-capitals", input: "a name with capitals", cases: []string{"manifest TestCheckName_Refuses/Web"}},
	{id: "name-dots", input: "a name with dots, one with a trailing dot", cases: []string{"manifest TestCheckName_Refuses/web."}},
	{id: "name-long", input: "64 characters", cases: []string{"manifest TestParse_RefusesBadManifests/name-long", "coordinator/api TestDeploy_Refuses/endless name"}},
	{id: "name-unicode", input: "a name in Japanese", cases: []string{"manifest TestCheckName_Refuses/日本"}},
	{id: "name-direction", input: "a name with a right-to-left override", cases: []string{"manifest TestCheckName_Refuses/\u202ebew"}},
	{id: "name-path", input: "../../etc", cases: []string{"manifest TestCheckName_Refuses/../../etc", "cli TestDeploy_RefusesBadInput/bad_service_name"}},
	{id: "name-encoded", input: "xn--", cases: []string{"manifest TestCheckName_Refuses/xn--abc", "coordinator/api TestDeploy_Refuses/encoded name"}},
	{id: "name-reserved", input: "localhost, metadata", cases: []string{
		"proto/name TestFault_NamesTheReservedList", "coordinator/api TestDeploy_Refuses/reserved service", "coordinator/api TestDeploy_Refuses/reserved environment"}},
	{id: "name-unknown-space", input: "a space that nobody made", cases: []string{"coordinator/api TestDeploy_Refuses/no such space"}},
	{id: "name-two-owners", input: "a name of two services", cases: []string{"ingress/route TestLive_NameStaysWithItsOwner"}},
	{id: "domain-contested", input: "a domain of another space, a wildcard over it, one without proof", notBuilt: "custom domains"},
	{id: "env-name", input: "a variable named A=B", cases: []string{"coordinator/api TestDeploy_Refuses/name with ="}},
	{id: "env-large", input: "a variable of 1 MB", cases: []string{"coordinator/api TestDeploy_Refuses/large value"}},
	{id: "env-reserved", input: "RUNWAY_*, PORT", cases: []string{"coordinator/api TestDeploy_Refuses/RUNWAY_", "coordinator/api TestDeploy_Refuses/PORT"}},
	{id: "secret-and-env", input: "a secret and a variable of one name", notBuilt: "secrets"},
	{id: "secret-odd-values", input: "line ends, NUL, 64 kB and one byte, invalid UTF-8", notBuilt: "secrets"},

	// Archives and images.
	{id: "archive-truncated", input: "an archive that ends early", cases: []string{
		"cli TestDeploy_RefusesBadArchives/docker-truncated", "cli TestDeploy_RefusesBadArchives/oci-truncated"}},
	{id: "archive-other-kind", input: "an OCI archive named a Docker one, and the other way", cases: []string{
		"cli TestDeploy_RefusesBadArchives/docker-is-oci", "cli TestDeploy_RefusesBadArchives/oci-is-docker"}},
	{id: "archive-absolute", input: "an entry /tmp/evil", cases: []string{"cli TestDeploy_RefusesBadArchives/oci-absolute"}},
	{id: "archive-parent", input: "entries that lead out with ..", cases: []string{
		"cli TestDeploy_RefusesBadArchives/oci-parent", "cli TestDeploy_RefusesBadArchives/oci-parent-inside"}},
	{id: "archive-links", input: "symbolic and hard links out of the archive", cases: []string{
		"cli TestDeploy_RefusesBadArchives/oci-symlink", "cli TestDeploy_RefusesBadArchives/oci-hardlink"}},
	{id: "archive-devices", input: "devices and pipes", cases: []string{
		"cli TestDeploy_RefusesBadArchives/oci-device", "cli TestDeploy_RefusesBadArchives/oci-fifo"}},
	{id: "archive-huge", input: "a sparse file of terabytes, a million files", cases: []string{
		"cli TestDeploy_RefusesBadArchives/oci-huge", "cli TestDeploy_RefusesBadArchives/oci-many-files"}},
	{id: "image-tag", input: "an image by tag", cases: []string{"coordinator/image TestResolve/tag"}},
	{id: "image-unknown-digest", input: "a digest that the registry does not have", cases: []string{"coordinator/image TestResolve/unknown digest", "e2e TestDeployFails/its image is not in the registry"}},
	{id: "image-forbidden", input: "a registry that says 403", cases: []string{"coordinator/image TestResolve_RegistryThatMisbehaves/denies"}},
	{id: "image-schema-one", input: "a manifest of schema 1", cases: []string{"coordinator/image TestResolve_RegistryThatMisbehaves/answers in schema 1"}},
	{id: "image-throttled", input: "a registry that says 429", cases: []string{"coordinator/image TestResolve_RegistryThatMisbehaves/has enough of us"}},
	{id: "image-unauthorized", input: "a registry that says 401", cases: []string{"coordinator/image TestResolve_RegistryThatMisbehaves/asks who we are"}},
	{id: "image-platform", input: "an image for another architecture", cases: []string{"coordinator/image TestResolve/other platform"}},
	{id: "image-no-command", input: "an image without an entry point", cases: []string{"agent/runtime/containerd TestRuntime_RefusesHostileImages/no command"}},
	{id: "image-hostile-user", input: "users -1 and 2^32", cases: []string{"agent/runtime/containerd TestRuntime_RefusesHostileImages/uid 2^32"}},
	{id: "image-hostile-links", input: "links at the places of mounts", cases: []string{"agent/runtime/containerd TestRuntime_KeepsLinksInside"}},
	{id: "image-gone", input: "an image that went away after it was resolved", cases: []string{"e2e TestDeployFails/its image has gone from the registry"}},

	// Callers.
	{id: "token-wrong", input: "a wrong token, none, one of another kind", cases: []string{"coordinator/api TestRights_NobodyIsUnauthenticatedEverywhere/with a wrong token"}},
	{id: "token-expired", input: "a token that has expired", cases: []string{"coordinator/api TestRights_ExpiredTokenIsNobody"}},
	{id: "token-of-no-right", input: "a token without the right", cases: []string{"coordinator/api TestRights_EveryMethodAsEveryRole"}},
	{id: "join-token-used", input: "a join token for a second machine", cases: []string{"coordinator/api TestEnrol_OneUseForTwoMachines"}},
	{id: "join-token-late", input: "a join token that has expired", cases: []string{"coordinator/api TestEnrol_LateTokenIsRefused"}},
	{id: "ca-wrong", input: "a coordinator of another authority", cases: []string{
		"coordinator/client TestConn_SendsNothingToStrangers/another authority", "coordinator/client TestEnrol_SendsNothingToAnotherCluster"}},
	{id: "ca-wrong-machine", input: "a machine of another cluster", cases: []string{"coordinator/api TestRights_MachineOfAnotherClusterIsNobody"}},
	{id: "rpc-missing-fields", input: "a request without what is required", cases: []string{
		"coordinator/api TestDeploy_Refuses/no spec", "coordinator/api TestDeploy_Refuses/no key"}},
	{id: "rpc-reflection", input: "reflection by a stranger", cases: []string{"coordinator/api TestReflection_OnlyForThoseWhoSignedIn"}},
	{id: "rpc-older-server", input: "a call that an older coordinator does not have", cases: []string{"coordinator/client TestCauseOf/a call that an older coordinator does not have"}},
	{id: "rpc-newer-client", input: "a field of a newer client", cases: []string{"coordinator/api TestDeploy_RefusesWhatNobodyMeans/of a newer client"}},
	{id: "rpc-unknown-enum", input: "a value that an enum does not have", cases: []string{"coordinator/api TestDeploy_RefusesWhatNobodyMeans/unknown enum"}},
	{id: "rpc-large", input: "messages of 5 MB, and of more than is read", cases: []string{"coordinator/api TestDeploy_RefusesWhatNobodyMeans/5 MB"}},
	{id: "rpc-empty-messages", input: "a stream of empty messages", cases: []string{"coordinator/dispatch TestAgent_ProtocolErrors/empty message"}},
	{id: "machine-cloned", input: "two machines with one identity", cases: []string{"coordinator/dispatch TestAgent_SecondSessionEndsTheFirst"}},
	{id: "machine-same-name", input: "two nodes of one name", cases: []string{"coordinator/api TestNodes_Remove/rack"}},
	{id: "machine-removed", input: "a machine that was removed comes back", cases: []string{"coordinator/api TestNodes_RemovedMachineDoesNotComeBack"}},
	{id: "request-repeated", input: "a request that comes twice", cases: []string{"coordinator/api TestDeploy_SameKeyHappensOnce", "coordinator/command TestDeploy_sameRequestHappensOnce"}},
	{id: "deploy-superseded", input: "a deployment during another one", cases: []string{"coordinator/simulation TestDeployment_NewerOneSupersedesAndTakesOver"}},
	{id: "deploy-two-at-once", input: "two deployments at one moment", cases: []string{"coordinator/api TestDeploy_TwoAtOnce"}},
	{id: "operator-remove-node", input: "removal of a node with replicas", cases: []string{"coordinator/api TestNodes_Remove"}},
	{id: "operator-delete", input: "deletion of what serves", cases: []string{"cli TestDelete_Asks", "coordinator/api TestSpaces_DeleteWithServices"}},
	{id: "operator-recover", input: "recovery of a cluster with a quorum, force with a wrong name", notBuilt: "cluster recover"},
	{id: "operator-restore", input: "a restore into a live cluster by command", notBuilt: "snapshot restore as a command"},

	// Processes of services.
	{id: "process-exits", input: "it exits at once", cases: []string{"agent TestStart_TwoExitsFailWithTheCause", "e2e TestDeployFails/it exits at once"}},
	{id: "process-deaf", input: "it never listens", cases: []string{"agent TestStart_PortNeverBound", "e2e TestDeployFails/it never binds its port"}},
	{id: "process-loopback", input: "it listens on loopback only", cases: []string{"agent TestStart_PortNeverBound", "e2e TestDeployFails/127.0.0.1:9090"}},
	{id: "process-late", input: "it listens after the start budget", cases: []string{"agent TestStart_StartupProbeBudget"}},
	{id: "process-ignores-term", input: "it ignores SIGTERM", cases: []string{"agent TestLifeCycle_StopKillsAfterGrace"}},
	{id: "process-forks", input: "it forks without end", cases: []string{"agent/runtime/containerd TestRuntime_BoundsProcesses"}},
	{id: "process-fills-memory", input: "it fills the memory", cases: []string{
		"agent TestB12_OutOfMemoryDuringStart", "agent TestB12_OverMemory_OnRealParts", "e2e TestDeployFails/it takes more memory than it has"}},
	{id: "process-fills-disk", input: "it fills its writable layer", notBuilt: "a limit on the writable layer: disk is reserved and not enforced"},
	{id: "process-fills-log", input: "it fills its log", cases: []string{
		"agent/logs TestCollector_RotatesWithinItsBound", "agent/logs TestCollector_TrimsTheSpoolUnderItsWriter", "agent/logs TestCollector_CutsLongLines"}},
	{id: "probe-redirect", input: "a probe that is answered 302", cases: []string{"agent/probe TestOnce_FollowsNoRedirect"}},
	{id: "probe-large-answer", input: "a probe that is answered with a megabyte", cases: []string{"agent/probe TestOnce_BoundsTheAnswer"}},
	{id: "probe-endless", input: "a probe that is answered with 10 GB, or byte by byte", cases: []string{"agent/probe TestOnce_EndsWithWhatNeverEnds"}},
	{id: "probe-silence", input: "a probe that is not answered", cases: []string{"agent/probe TestOnce_TellsTimeoutFromRefusal"}},

	// The machine below.
	{id: "disk-full-agent", input: "a full disk under the agent", cases: []string{
		"agent TestSession_UnsavedSetIsCarriedOutButNotAcknowledged", "agent/logs TestCollector_DropsAlsoWhenNothingCanBeWritten"}},
	{id: "disk-hangs-agent", input: "a disk that hangs under the agent", cases: []string{"agent TestSession_HungDiskMakesTheNodeLeave"}},
	{id: "disk-full-coordinator", input: "a full disk under a coordinator", cases: []string{"coordinator/consensus TestNode_failingDiskStopsWithItsCode"}},
	{id: "disk-damaged-agent", input: "a flipped bit in the agent's files", cases: []string{"agent TestReadFile_EveryFlippedBitIsFound", "agent TestHold_DamagedAssignmentsStopNothing"}},
	{id: "disk-damaged-ingress", input: "a damaged file of routes", cases: []string{"ingress TestSession_StartsEmptyOnADamagedFile"}},
	{id: "clock-pause", input: "a leader that stood still", cases: []string{"coordinator/nodehealth TestJudge_OwnPauseIsNobodysSilence"}},
	{id: "clock-back", input: "a clock that goes back between two readings", cases: []string{"agent TestUsage_CoresFromTwoReadings"}},
	{id: "clock-skew-certificates", input: "a machine whose clock is behind", cases: []string{"coordinator/identity TestAuthority_LifeAndBackdate"}},

	// The log and snapshots.
	{id: "entry-unknown-kind", input: "an entry of an unknown kind", cases: []string{
		"coordinator/consensus TestFSM_unknownEntryStopsTheMember/kind", "coordinator/command TestDecode_refuses/unknown kind"}},
	{id: "entry-bad-checksum", input: "an entry with a wrong checksum", cases: []string{
		"coordinator/consensus TestFSM_unknownEntryStopsTheMember/checksum", "coordinator/command TestDecode_refuses/checksum"}},
	{id: "entry-newer", input: "an entry of a newer version", cases: []string{"coordinator/consensus TestFSM_unknownEntryStopsTheMember/version"}},
	{id: "entry-empty", input: "an entry of zero length, half of one", cases: []string{"coordinator/command TestDecode_refusesWhatIsNoEntry/zero length"}},
	{id: "entry-any-bytes", input: "any bytes, and any payload with a right checksum", cases: []string{"coordinator/command FuzzDecode", "coordinator/command FuzzApply"}},
	{id: "snapshot-truncated", input: "a snapshot without its end", cases: []string{
		"coordinator/consensus TestNode_restoreRefuses/truncated", "coordinator/state TestLoad_refusesAndKeepsTheState"}},
	{id: "snapshot-foreign", input: "a snapshot of another cluster", cases: []string{"coordinator/consensus TestNode_restoreRefuses/of another cluster"}},
	{id: "snapshot-damaged", input: "a snapshot with a flipped bit", cases: []string{"coordinator/state TestLoad_noticesEveryBit", "coordinator/state FuzzLoad"}},
	{id: "snapshot-newer", input: "a snapshot of a newer format", cases: []string{"coordinator/state TestLoad_refusesAndKeepsTheState/newer format"}},
	{id: "snapshot-wrong-key", input: "a snapshot sealed with another key", notBuilt: "secrets"},

	// What agents and ingresses say, and what they are told.
	{id: "report-of-others", input: "a report of a replica of another node", cases: []string{
		"coordinator/dispatch TestAgent_CannotReportForOthers", "coordinator/command TestReportReplicas_refuses/of another node"}},
	{id: "report-endless", input: "a report of a megabyte", cases: []string{"coordinator/dispatch TestReportsOf_BoundsOneReport", "coordinator/command TestReportReplicas_boundsWhatAgentsSay"}},
	{id: "report-flood", input: "more reports than the log takes", cases: []string{"coordinator/dispatch TestReports_OverloadCutsInsteadOfGrowing"}},
	{id: "report-capacity", input: "a node of 10^18 bytes", cases: []string{
		"coordinator/command TestApply_rejects/a node of 10^18 bytes", "coordinator/dispatch TestAgent_ProtocolErrors/unbelievable capacity"}},
	{id: "report-any-bytes", input: "any message of an agent", cases: []string{"coordinator/dispatch FuzzAgentMessage"}},
	{id: "stats-impossible", input: "latencies that are NaN, negative, 1e308; counts of 2^64", cases: []string{
		"coordinator/presence TestTraffic_RefusesWhatCannotBe/NaN", "coordinator/presence TestTraffic_RefusesWhatCannotBe/negative",
		"coordinator/presence TestTraffic_RefusesWhatCannotBe/huge", "coordinator/dispatch TestIngress_StatisticsThatCannotBeTrueAreCounted"}},
	{id: "stats-any-bytes", input: "any message of an ingress", cases: []string{"coordinator/dispatch FuzzIngressMessage"}},
	{id: "assignments-any-bytes", input: "any set of assignments", cases: []string{"agent FuzzAssignments"}},
	{id: "routes-any-bytes", input: "any set of routes", cases: []string{"ingress FuzzRoutes", "ingress TestBook_SurvivesTenThousandDamagedMessages", "ingress/route FuzzLive_NeverPanics"}},
	{id: "routes-empty", input: "a set that drops most routes", cases: []string{"ingress TestC2_RefusesASetThatDropsMostRoutes"}},
	{id: "routes-old", input: "an older set, one of another incarnation", cases: []string{"ingress TestC2_RefusesOldAndForeignSetsAndKeepsItsOwn"}},

	// Requests of strangers.
	{id: "http-smuggling", input: "requests within requests", cases: []string{"ingress/caddy TestSmuggling_NothingHidesInARequest"}},
	{id: "http-two-hosts", input: "Host twice", cases: []string{"ingress/caddy TestSmuggling_NothingHidesInARequest/two hosts"}},
	{id: "http-absolute-form", input: "GET http://other/", cases: []string{"ingress/caddy TestSmuggling_NothingHidesInARequest/absolute URI of another"}},
	{id: "http-large-headers", input: "headers above the limit", cases: []string{"ingress/caddy TestHeaders_OverTheLimitAreRefused"}},
	{id: "http-many-headers", input: "1,000 headers", cases: []string{"ingress/caddy TestHeaders_OverTheLimitAreRefused"}},
	{id: "http-other-server-name", input: "another Host than the TLS server name", cases: []string{"ingress/caddy TestProxy_RefusesAnotherHostThanTheServerName"}},
	{id: "http-connection-names-ours", input: "Connection: X-Request-Id, forged platform headers", cases: []string{"ingress/caddy TestHeaders_FromOutsideAreNotTrusted"}},
	{id: "http-unknown-name", input: "a name without a route, a TLS name without a certificate", cases: []string{
		"ingress/caddy TestProxy_SaysWhatIsWrong", "ingress/caddy TestTLS_RefusesUnknownNamesWithoutAskingForThem"}},
	{id: "http-any-bytes", input: "any host and path", cases: []string{"ingress/caddy FuzzRequest"}},
	{id: "dns-any", input: "ANY", cases: []string{"ingress/dns TestServer_AnyDoesNotAmplify"}},
	{id: "dns-transfer", input: "AXFR, IXFR", cases: []string{
		"ingress/dns TestServer_RefusesWhatIsNoPlainQuestion/AXFR", "ingress/dns TestServer_RefusesWhatIsNoPlainQuestion/IXFR"}},
	{id: "dns-questions", input: "no question, two questions", cases: []string{
		"ingress/dns TestServer_RefusesWhatIsNoPlainQuestion/no question", "ingress/dns TestServer_RefusesWhatIsNoPlainQuestion/two questions"}},
	{id: "dns-update", input: "UPDATE, NOTIFY", cases: []string{"ingress/dns TestServer_RefusesWhatIsNoPlainQuestion/UPDATE"}},
	{id: "dns-large-buffer", input: "EDNS with 65535 bytes", cases: []string{"ingress/dns TestServer_UDPAnswersAreSmall"}},
	{id: "dns-any-bytes", input: "any question", cases: []string{"ingress/dns FuzzQuestion"}},
}
