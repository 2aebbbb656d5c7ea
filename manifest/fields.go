package manifest

import (
	"slices"
	"strings"
)

// Back end protocols as manifests name them.
const (
	backendHTTPS = "HTTPS"
	backendHTTP  = "HTTP"
	backendREST  = "rest"
	backendHTTP2 = "HTTP2"
	backendGRPC  = "grpc"
)

var (
	backends = []string{backendHTTP, backendHTTPS, backendREST, backendHTTP2, backendGRPC}

	// strategies are those that are not built.
	strategies = []string{"legacy", "regional_rollout", "expedited", "dryrun"}
)

const rolling = "rolling"

// fields lists everything that a RunwayService may say. Known fields that are not
// built are rows too, so that they are refused by name instead of as a mistake.
var fields = table(slices.Concat(headFields, runFields, probeFields(startup), probeFields(liveness), probeFields(readiness), reachFields, kubernetesFields))

// headFields say what the document is and whose.
var headFields = []Field{
	{"apiVersion", "Version of this format.", APIVersion, apiVersion()},
	{"kind", "Kind of the document.", "", kindWord()},
	{"extends", "In runway-ENV.yml: the file is merged over runway.yml instead of replacing it.", "", only(service, extension())},

	{"metadata", "Name and owners of the service.", "", mapping()},
	{"metadata.name", "Name of the service; the name given at deploy time wins.", "", serviceName()},
	{"metadata.owner_email_handle", "Label: who answers for the service.", "", label("owner_email_handle")},
	{"metadata.department", "Label: department of the owner.", "", label("department")},
	{"metadata.department_group", "Label: group in the department.", "", label("department_group")},
	{"metadata.product_category", "Label: part of the product.", "", label("product_category")},
	{"metadata.labels", "More labels; gitlab.com/department and its like are the labels above.", "", entries("label names and texts", maxLabels, labelEntry, freeLabels, labelsSchema())},
	{"metadata.owner", "Label: owner, in older manifests.", "", label("owner")},
}

// runFields say what runs, how large and how often.
var runFields = []Field{
	{"spec", "What runs.", "", mapping()},
	{"spec.image", "Image when none is named at deploy time; $VARIABLES are taken from the deploying process.", "", imageReference()},
	{"spec.command", "What runs instead of the entrypoint and command of the image.", "", words("a list of strings", func(d *draft) *[]string { return &d.command })},
	{"spec.environment", "Environment variables; those of env-ENV.yml win.", "", entries("variable names and strings", maxVariables, variable, func(d *draft) map[string]string { return d.env }, variablesSchema())},
	{"spec.container_port", "Port that the process listens on.", "8080", portNumber()},
	{"spec.request_timeout", "Seconds until a request without an answer is given up.", "300", integer(1, 3600, func(d *draft) *int64 { return &d.requestTimeout })},
	{"spec.regions", "Regions to run in.", "", instead(names("a list of different names", func(d *draft) *[]string { return &d.cloud.list }), "replicas run in the first region of the cluster; names of a public cloud mean nothing to it")},
	{"spec.execution_environment", "Sandbox generation of a public cloud.", "", instead(oneOf([]string{"EXECUTION_ENVIRONMENT_GEN1", "EXECUTION_ENVIRONMENT_GEN2"}, cloudWord), "replicas run in containers that share the kernel of their node")},
	{"spec.request_based_billing", "Processor time only during requests.", "", insteadOf(boolean(cloudFlag), "nothing is billed, and replicas may use their processor limit between requests too", isTrue)},

	{"spec.resources", "Processor and memory of one replica.", "", mapping()},
	{"spec.resources.startup_cpu_boost", "More processor time while starting.", "false", butNot(boolean(cloudFlag), "false", "true", "remove it, or raise spec.resources.limits.cpu")},
	{"spec.resources.limits", "Ceilings.", "", mapping()},
	{"spec.resources.limits.cpu", "Most processor time that a replica gets.", "1000m", quantity(cpuForm, cpuPattern, parseCPU, formatCPU, func(d *draft) *int64 { return &d.cpuLimit })},
	{"spec.resources.limits.memory", "Memory of a replica, reserved in full; using more kills it.", "512Mi", quantity(memoryForm, memoryPattern.String(), parseMemory, formatMemory, func(d *draft) *int64 { return &d.memory })},
	{"spec.resources.requests", "What is reserved.", "", mapping()},
	{"spec.resources.requests.cpu", "Processor time that placement reserves.", "10 % of the limit, at least 10m", quantity(cpuForm, cpuPattern, parseCPU, formatCPU, func(d *draft) *int64 { return &d.cpuRequest })},
	{"spec.resources.requests.memory", "Memory that is reserved at least.", "", instead(quantity(memoryForm, memoryPattern.String(), parseMemory, formatMemory, func(d *draft) *int64 { return &d.memoryRequest }), "spec.resources.limits.memory is reserved in full")},

	{"spec.resources.requests.ephemeral-storage", "Disk that placement reserves for logs and the writable layer.", "the limit, else 256Mi", quantity(memoryForm, memoryPattern.String(), parseMemory, formatMemory, func(d *draft) *int64 { return &d.diskRequest })},
	{"spec.resources.limits.ephemeral-storage", "Disk that placement reserves when no request is named.", "", instead(quantity(memoryForm, memoryPattern.String(), parseMemory, formatMemory, func(d *draft) *int64 { return &d.diskLimit }), "it is reserved, and a replica that writes more is not stopped")},

	{"spec.scalability", "Number of replicas.", "", mapping()},
	{"spec.scalability.min_instances", "Fewest replicas; 0 is kept at 1 until services wake from zero.", "0", integer(0, maxInstances, func(d *draft) *int64 { return &d.min })},
	{"spec.scalability.max_instances", "Most replicas.", "100", integer(1, maxInstances, func(d *draft) *int64 { return &d.max })},
	{"spec.scalability.max_instance_request_concurrency", "Requests at once per replica.", "", notBuilt(noAutoscaler)},
	{"spec.scalability.max_instance_concurrent_requests", "Other name of max_instance_request_concurrency.", "", otherName("spec.scalability.max_instance_request_concurrency")},
}

// reachFields say who reaches the service, and how a revision replaces another.
var reachFields = []Field{
	{"spec.load_balancing", "Who may reach the service.", "", mapping()},
	{"spec.load_balancing.external_load_balancer", "The public endpoint.", "", mapping()},
	{"spec.load_balancing.external_load_balancer.enabled", "Published under the cluster's public domain.", "true", boolean(func(d *draft) *bool { return &d.public })},
	{"spec.load_balancing.external_load_balancer.backend_protocol", "What the process speaks: HTTP2 and grpc are HTTP/2 without TLS, the others HTTP/1.1.", backendHTTPS, only(service, oneOf(backends, func(d *draft) *string { return &d.backend }))},
	{"spec.load_balancing.internal_load_balancer", "The endpoint for other services.", "", mapping()},
	{"spec.load_balancing.internal_load_balancer.enabled", "Published in the internal zone.", "true", boolean(func(d *draft) *bool { return &d.internal })},
	{"spec.load_balancing.internal_load_balancer.backend_protocol", "What the process speaks to other services; with both endpoints on, the same as external_load_balancer.backend_protocol.", "that of the public endpoint", only(service, oneOf(backends, func(d *draft) *string { return &d.internalBackend }))},

	{"spec.observability", "Metrics of the process itself.", "", mapping()},
	{"spec.observability.scrape_targets", "Addresses with metrics.", "", notBuilt("remove it: request metrics come from the ingress")},
	{"spec.observability.metrics_path", "Path of the metrics.", "", notBuilt("remove it: request metrics come from the ingress")},
	{"spec.network_policies", "Who may call.", "", mapping()},
	{"spec.network_policies.cloudflare", "Only callers that come through Cloudflare.", "false", butNot(boolean(cloudFlag), "false", "true", "remove it, and let the firewall of the ingress nodes limit who calls")},
	{"spec.vpc_access", "Access to private networks.", "", mapping()},
	{"spec.vpc_access.enabled", "Reach private networks.", "", instead(boolean(cloudFlag), "replicas reach what their node reaches, private networks too")},
	{"spec.vpc_access.egress", "Which traffic goes through the private network.", "", instead(oneOf([]string{"ALL_TRAFFIC", "PRIVATE_RANGES_ONLY"}, cloudWord), "all traffic leaves by the routes of the node")},
	{"spec.deployment", "How a revision replaces another.", "", mapping()},
	{"spec.deployment.strategy", "Name of the strategy.", "rolling", butNot(oneOf(append([]string{rolling}, strategies...), cloudWord), rolling, strings.Join(strategies, ", "), "remove it: deployments are rolling")},
	{"spec.deployment.rollout_traffic_percentages", "Steps of traffic.", "", notBuilt("remove it: deployments are rolling")},
	{"spec.deployment.traffic_rollout_percentages", "Other name of rollout_traffic_percentages.", "", otherName("spec.deployment.rollout_traffic_percentages")},
}

// probeFields are the rows of one block of probe fields.
func probeFields(slot probeSlot) []Field {
	words := probeWords[slot]
	at := func(name string) string { return words.block + "." + name }
	rows := []Field{
		{words.block, words.doc, words.absent, probeBlock(slot)},
		{at("path"), "Path of an HTTP GET that must answer 200 to 399.", "", path(slot.text(func(p *probe) *string { return &p.path }))},
		{at("grpc_service"), "Service that gRPC health is asked for.", "", text("the name of a gRPC service", slot.text(func(p *probe) *string { return &p.grpcService }))},
		{at("initial_delay_seconds"), words.delay, "0", integer(0, maxProbeSeconds, slot.number(func(p *probe) *int64 { return &p.initialDelay }))},
		{at("timeout_seconds"), "Seconds until a probe without an answer has failed.", "1", integer(1, maxProbeSeconds, slot.number(func(p *probe) *int64 { return &p.timeout }))},
		{at("period_seconds"), "Seconds between probes.", "10", integer(1, maxProbeSeconds, slot.number(func(p *probe) *int64 { return &p.period }))},
		{at("failure_threshold"), words.failures, "3", integer(1, maxProbeFailures, slot.number(func(p *probe) *int64 { return &p.failureThreshold }))},
	}
	for i := range rows {
		rows[i] = slot.show(rows[i])
	}
	return rows
}

// Fields returns the table of fields.
func Fields() []Field { return append([]Field(nil), fields...) }

const (
	// maxInstances is what the coordinator accepts of one workload.
	maxInstances = 1000
	// maxProbeSeconds is an hour: more is a typing mistake.
	maxProbeSeconds = 3600
	// maxProbeFailures is less than the coordinator accepts: a manifest counts in whole
	// seconds, so that more is a typing mistake.
	maxProbeFailures = 1000

	noAutoscaler = "remove it and set spec.scalability.min_instances: nothing scales by requests yet"
)

// cloudFlag and cloudWord are where values go that have no effect.
func cloudFlag(d *draft) *bool   { return &d.cloud.flag }
func cloudWord(d *draft) *string { return &d.cloud.word }
