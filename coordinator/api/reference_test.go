package api

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/runway-platform/runway/docs/docstest"
)

// samples are the values that examples have, by name of the field, or by message and
// field where a name means several things. Every other field is left out, which is
// what most callers do.
var samples = map[string]any{
	"space": "default", "environment": "production", "service": "hello",
	"CreateSpaceRequest.name": "shop", "GetSpaceRequest.name": "default", "DeleteSpaceRequest.name": "shop",
	"description": "the web shop", "message": "why it is done", "count": 3, "id": "ID",
	"Image.reference": "registry.example.com/hello:1.4", "container_port": 8080, "public": true, "internal": true,
	"cpu_limit_milli": "500", "memory_bytes": "67108864", "ScalePolicy.min": 1, "ScalePolicy.max": 10,
	"tail": 100, "limit": 20, "CreateJoinTokenRequest.role": "ROLE_NODE", "CreateTokenRequest.role": "ROLE_DEPLOYER", "ttl": "86400s",
	"CreateTokenRequest.name": "ci", "spaces": []any{"default"}, "uses": 1,
	"node": "node-1", "ingress": "ingress-1", "cordoned": true, "going": 1,
	"join_token": "TOKEN", "csr": "BASE64", "names": []any{"hello.default.example.com"},
	"HealthCheckRequest.service": "", "list_services": "*",
	"AgentHello.name": "node-1", "IngressHello.name": "ingress-1", "stream": "ID",
}

// whole are the fields that an example has with all that samples know below them.
var whole = map[string]bool{"workload": true, "spec": true, "image": true, "resources": true, "scale": true, "options": true, "hello": true}

// example is a body for a message, of the fields that samples has a value for.
func example(d protoreflect.MessageDescriptor) map[string]any {
	body := map[string]any{}
	for i := range d.Fields().Len() {
		field := d.Fields().Get(i)
		name := string(field.Name())
		value, ok := samples[string(d.Name())+"."+name]
		if !ok {
			value, ok = samples[name]
		}
		switch {
		case field.Message() != nil && whole[name]:
			body[name] = example(field.Message())
		case ok && value != "":
			body[name] = value
		}
	}
	return body
}

// body is the example as grpcurl takes it; empty for a message without fields.
func (m method) body(t *testing.T) string {
	t.Helper()
	fields := example(m.input.Descriptor())
	if len(fields) == 0 {
		return ""
	}
	text, err := json.Marshal(fields) // keys in order
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// grpcurl is the line that calls a method, as one of those who may.
func (m method) grpcurl(t *testing.T) string {
	t.Helper()
	parts := []string{"grpcurl", "-cacert ca.crt"}
	r := rights[m.name]
	if r.open || !r.allows(admin) { // they may not ask what there is
		parts = append(parts, "-import-path proto -proto "+m.input.Descriptor().ParentFile().Path())
	}
	switch {
	case r.open:
	case !r.allows(admin):
		parts = append(parts, "-cert identity.pem -key identity.pem")
	default:
		parts = append(parts, `-H "authorization: Bearer $TOKEN"`)
	}
	if body := m.body(t); body != "" {
		parts = append(parts, "-d '"+body+"'")
	}
	return strings.Join(append(parts, "$API", strings.TrimPrefix(m.name, "/")), " ")
}

func TestReference_ListsEveryMethod(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	comments := protoComments(t)
	var text strings.Builder
	text.WriteString(rpcsIntro)
	service := ""
	for _, m := range b.methods() {
		if strings.Contains(m.name, "ServerReflection") && strings.Contains(m.name, "alpha") {
			continue // the same under its old name
		}
		if name := strings.Split(m.name, "/")[1]; name != service {
			service = name
			fmt.Fprintf(&text, "\n## %s\n", service)
		}
		fmt.Fprintf(&text, "\n### %s\n\n", m.short())
		if said := comments[m.short()]; said != "" {
			text.WriteString(said + "\n\n")
		}
		fmt.Fprintf(&text, "%s → %s. %s\n", m.side(m.clientStream, m.input), m.side(m.serverStream, m.output), m.who())
		if !strings.Contains(m.name, "ServerReflection") {
			fmt.Fprintf(&text, "\n```\n%s\n```\n", m.grpcurl(t))
		}
	}
	docstest.Page(t, "reference/rpcs.md", text.String())
}

const rpcsIntro = "# RPCs\n\n" +
	"One port takes all of them, over TLS 1.3 with a certificate of the cluster's own authority. People and CI send a token, machines their\n" +
	"certificate; who may call what is one table in the coordinator, and a method without a row is denied to everybody. Tokens of the roles\n" +
	"*viewer*, *deployer* and *space_admin* see their own spaces only: another one is answered like one that does not exist.\n\n" +
	"The lines take `API` (host:port of a coordinator), `TOKEN`, and `ca.crt`, the certificate of the authority. A coordinator that does not\n" +
	"lead answers `FailedPrecondition` with the address of the one that does. Sessions are for agents and ingresses, which keep their\n" +
	"certificate in `identity/identity.pem` of their data directory; they may not ask for reflection, so their lines read the files of `proto/`.\n"

func (m method) side(stream bool, of protoreflect.MessageType) string {
	name := "`" + string(of.Descriptor().Name()) + "`"
	if stream {
		return "stream of " + name
	}
	return name
}

// who says what the table of rights does.
func (m method) who() string {
	r := rights[m.name]
	if r.open {
		return "Open: the request carries the credential."
	}
	var names []string
	for _, role := range r.roles {
		names = append(names, roleName(role))
	}
	said := "For " + strings.Join(names, ", ") + "."
	if slices.Equal(r.roles, everybody) {
		said = "For everybody with a credential."
	}
	if r.expired {
		said += " Also with an expired certificate."
	}
	if r.anywhere {
		said += " Every coordinator answers."
	}
	if r.writes {
		said += " Recorded in the coordinator's log."
	}
	return said
}

var (
	protoService = regexp.MustCompile(`^service (\w+) \{`)
	protoMethod  = regexp.MustCompile(`^\s+rpc (\w+)\(`)
)

// protoComments are the comments of methods, by Service.Method: descriptors in a
// program do not have them.
func protoComments(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, file := range []string{"api", "agent", "ingress"} {
		text, err := os.ReadFile("../../proto/runway/v1/" + file + ".proto")
		if err != nil {
			t.Fatal(err)
		}
		service, said := "", []string(nil)
		for line := range strings.Lines(string(text)) {
			comment, isComment := strings.CutPrefix(strings.TrimSpace(line), "//")
			if isComment {
				said = append(said, strings.TrimSpace(comment))
				continue
			}
			if found := protoService.FindStringSubmatch(line); found != nil {
				service = found[1]
			}
			if found := protoMethod.FindStringSubmatch(line); found != nil {
				all[service+"."+found[1]] = strings.Join(said, "\n")
			}
			said = nil
		}
	}
	return all
}

// Each example is a message of its method by the descriptor, and what a person may
// call is answered as a right request is: nothing in it is missing or malformed.
func TestReference_ExamplesAreRightRequests(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	called := 0
	for _, m := range b.methods() {
		request := m.input.New().Interface()
		if body := m.body(t); body != "" {
			if err := protojson.Unmarshal([]byte(strings.ReplaceAll(body, "BASE64", "QUJD")), request); err != nil {
				t.Errorf("%s: the example %s: %v", m.short(), body, err)
				continue
			}
		}
		if !rights[m.name].allows(admin) || strings.Contains(m.name, "ServerReflection") || follows(request) {
			continue
		}
		called++
		if err := m.call(t, b.as(admin), request); !isRightRequest(err) {
			t.Errorf("%s: the example %s is refused: %v", m.short(), m.body(t), err)
		}
	}
	if called < 30 {
		t.Errorf("only %d examples were called", called)
	}
}

// follows is true for a request whose answer does not end.
func follows(request proto.Message) bool {
	_, watch := request.(interface{ GetFollow() bool })
	return watch && request.(interface{ GetFollow() bool }).GetFollow()
}

// isRightRequest is true for an answer, and for one that says that something which the
// example names is not here, or not in the state for it: nothing has served yet.
func isRightRequest(err error) bool {
	return slices.Contains([]codes.Code{codes.OK, codes.NotFound, codes.Aborted}, status.Code(err))
}

var bodyOf = regexp.MustCompile(`-d '([^']*)'`)

// Every line of grpcurl in the pages that people write names a method that is served,
// and a body of it.
func TestDocs_GrpcurlLinesAreRight(t *testing.T) {
	t.Parallel()
	methods := map[string]method{}
	for _, m := range newBench(t).methods() {
		methods[strings.TrimPrefix(m.name, "/")] = m
	}
	checked := 0
	for _, block := range docstest.Blocks(t, "sh") {
		for _, line := range block.Commands("grpcurl") {
			words := strings.Fields(line)
			name := words[len(words)-1]
			if name == "list" || words[len(words)-2] == "describe" {
				continue
			}
			checked++
			m, ok := methods[name]
			if !ok {
				t.Errorf("%s: there is no method %s", block.Page, name)
				continue
			}
			if body := bodyOf.FindStringSubmatch(line); body != nil {
				if err := protojson.Unmarshal([]byte(body[1]), m.input.New().Interface()); err != nil {
					t.Errorf("%s: %s: %v", block.Page, line, err)
				}
			}
		}
	}
	if checked == 0 {
		t.Error("no line was found")
	}
}
