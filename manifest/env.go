package manifest

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/runway-platform/runway/proto/code"
	yaml "go.yaml.in/yaml/v3"
)

const (
	// maxEnvValueBytes stays below the kernel's limit of one NAME=VALUE, 128 KiB.
	maxEnvValueBytes = 64 << 10
	// maxVariables and maxVariableBytes are what the coordinator accepts of one service.
	maxVariables     = 500
	maxVariableBytes = 128 << 10
	// fixVariables is what to do about too many of them.
	fixVariables = "keep data in the image or in a file of its own"
	// maxEnvNameLength is far more than any real name.
	maxEnvNameLength = 256
	// reservedEnvPrefix is what replicas are told about themselves with.
	reservedEnvPrefix = "RUNWAY_"
)

var (
	envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

	// reservedEnv says why a name may not be set.
	reservedEnv = map[string]string{
		"PORT":       "Runway sets it to spec.container_port",
		"LD_PRELOAD": "it changes every process of the container; set it in the image",
	}
)

// readEnv returns the variables of a flat env file. Every scalar becomes the string
// that stands in the file; an empty value is an empty string.
func readEnv(file string, root *yaml.Node) (map[string]string, Errors) {
	c := new(collector)
	c.enter(file)
	env, first := map[string]string{}, map[string]int{}
	if root == nil {
		return env, nil
	}
	for i := 0; i+1 < len(root.Content) && !c.full(); i += 2 {
		key, value := root.Content[i], resolve(root.Content[i+1])
		if line, twice := first[key.Value]; twice {
			c.add(positionOf(key), code.ManifestDuplicate, fmt.Sprintf("%s is there twice, first in line %d", clip(key.Value), line), "remove one of the two")
			continue
		}
		first[key.Value] = key.Line
		if wrong := checkVariable(key, value); wrong != nil {
			c.add(positionOf(wrong.at), wrong.code, wrong.message, wrong.fix)
			continue
		}
		env[key.Value] = scalarText(value)
	}
	if len(env) > maxVariables {
		c.add(positionOf(root), code.EnvironmentVariable, fmt.Sprintf("the file has %d variables, more than %d", len(env), maxVariables), fixVariables)
	}
	return env, c.sorted()
}

// checkVariables says why variables may not be used together; file is the last that said
// something of them.
func checkVariables(file string, env map[string]string) *Problem {
	total := 0
	for name, value := range env {
		total += len(name) + len(value)
	}
	wrong := func(message string) *Problem {
		return &Problem{File: file, Code: code.EnvironmentVariable, Message: message, Fix: fixVariables}
	}
	switch {
	case len(env) > maxVariables:
		return wrong(fmt.Sprintf("the service has %d variables, more than %d", len(env), maxVariables))
	case total > maxVariableBytes:
		return wrong(fmt.Sprintf("the variables of the service have %d bytes, more than %d", total, maxVariableBytes))
	}
	return nil
}

// scalarText is the value as it stands in the file.
func scalarText(n *yaml.Node) string {
	if isNull(n) {
		return ""
	}
	return n.Value
}

// checkVariable says why a variable may not be used; nil when it may.
func checkVariable(key, value *yaml.Node) *fault {
	if message, fix := nameFaultOfVariable(key); message != "" {
		return &fault{key, code.EnvironmentVariable, message, fix}
	}
	wrong := func(message, fix string) *fault { return &fault{value, code.EnvironmentVariable, message, fix} }
	switch {
	case value.Kind != yaml.ScalarNode:
		return wrong(key.Value+" is "+describe(value), "write one value; quote JSON as 'TEXT'")
	case strings.ContainsRune(value.Value, 0):
		return wrong(key.Value+" has a NUL byte", "an environment variable cannot hold one; encode the value")
	case len(value.Value) > maxEnvValueBytes:
		return wrong(fmt.Sprintf("%s has %d bytes, more than %d", key.Value, len(value.Value), maxEnvValueBytes), "put large data into the image")
	}
	return nil
}

func nameFaultOfVariable(key *yaml.Node) (fault, fix string) {
	name := key.Value
	if key.ShortTag() == "!!merge" {
		return "the merge key << is not a variable", "write the variables out"
	}
	if key.Kind != yaml.ScalarNode || !envName.MatchString(name) || len(name) > maxEnvNameLength {
		return fmt.Sprintf("environment variable name %s is not allowed", quote(name)), "use letters, digits and underscores, not beginning with a digit"
	}
	if strings.HasPrefix(name, reservedEnvPrefix) {
		return "environment variable " + clip(name) + " is reserved", "names with the prefix " + reservedEnvPrefix + " are set by Runway; choose another"
	}
	if why, reserved := reservedEnv[name]; reserved {
		return "environment variable " + name + " is reserved", why
	}
	return "", ""
}
