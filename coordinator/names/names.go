// Package names decides what a workload is called: which names users may choose,
// and which host names follow from them. It is pure.
package names

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/runway-platform/runway/proto/name"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

const (
	// Production is the environment whose public names do not name it.
	Production = "production"
	// DefaultSpace is where a service lives when nobody named a space.
	DefaultSpace = "default"
	// DefaultPool is where a node is whose join token names no pool.
	DefaultPool = "default"
	// InternalZone is the DNS zone that only replicas are answered for.
	InternalZone = "internal"
	// httpsPort is not written in a URL.
	httpsPort = 443
	// maxHost is the longest host name DNS allows.
	maxHost = 253
)

// ErrName means that a name cannot become a DNS label, or is reserved.
var ErrName = errors.New("use lower-case letters, digits and hyphens, at most 63, starting with a letter and ending without a hyphen")

// Check returns ErrName when a name is not allowed. What names what ("space") is
// for the message only.
func Check(what, chosen string) error {
	if fault := name.Fault(chosen); fault != "" {
		return fmt.Errorf("%s %q %s: %w", what, shorten(chosen), fault, ErrName)
	}
	return nil
}

// CheckKey checks the three names of a workload and the length of what follows.
func CheckKey(key *runwayv1.WorkloadKey, domain string) error {
	err := errors.Join(
		Check("space", key.GetSpace()),
		Check("service", key.GetService()),
		Check("environment", key.GetEnvironment()),
	)
	if err == nil && len(Public(key, domain)) > maxHost {
		err = fmt.Errorf("host name %q: longer than %d: %w", Public(key, domain), maxHost, ErrName)
	}
	return err
}

// Public returns the name of a workload under the cluster's domain:
// <service>.<space>.<domain> for production, <service>.<environment>.<space>.<domain>
// for other environments.
func Public(key *runwayv1.WorkloadKey, domain string) string { return within(key, domain) }

// Internal returns the name that replicas use: <service>.<space>.internal, or
// <service>.<environment>.<space>.internal outside production.
func Internal(key *runwayv1.WorkloadKey) string { return within(key, InternalZone) }

// URL returns the address of a host over HTTPS. The port is left out when it is the
// usual one or unknown (0).
func URL(host string, port uint32) string {
	if port == 0 || port == httpsPort {
		return "https://" + host + "/"
	}
	return "https://" + host + ":" + strconv.FormatUint(uint64(port), 10) + "/"
}

// String returns a workload as people write it: space/service, with the environment
// outside production.
func String(key *runwayv1.WorkloadKey) string {
	text := key.GetSpace() + "/" + key.GetService()
	if key.GetEnvironment() != Production {
		text += " (" + key.GetEnvironment() + ")"
	}
	return text
}

func within(key *runwayv1.WorkloadKey, zone string) string {
	labels := []string{key.GetService(), key.GetSpace(), zone}
	if key.GetEnvironment() != Production {
		labels = []string{key.GetService(), key.GetEnvironment(), key.GetSpace(), zone}
	}
	return strings.Join(labels, ".")
}

// shorten keeps a hostile name from filling a log.
func shorten(name string) string {
	const most = 80
	if len(name) > most {
		return name[:most] + "..."
	}
	return name
}
