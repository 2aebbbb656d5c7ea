package agent

import (
	"errors"
	"fmt"
	goruntime "runtime"
	"slices"
	"strings"
	"time"
)

const (
	// lookEvery is how often everything is compared with the machine although nothing seems to have happened.
	lookEvery = 5 * time.Second
	// checkEvery is how often network rules are compared: an update of the operating system may flush them at any time.
	checkEvery = 5 * time.Second
	// perCore actions run at once on each core: enough to hide the waits of one, few enough that the first replica of many is
	// not as late as the last.
	perCore = 4
	// defaultPulls at once, of which one space has at most a third: registries limit connections, and disks do not unpack faster
	// in parallel.
	defaultPulls = 6
)

// Config says who this node is and what it offers.
type Config struct {
	// Name of the node, unique in the cluster.
	Name string
	// DataDir keeps assignments, histories and files shown to replicas. It must outlive a reboot, and only root may reach it.
	DataDir string
	// Address that ingresses reach node ports at.
	Address string
	// Identity is where ingresses ask which replica a node port leads to, ip:port.
	Identity string
	Region   string
	Pool     string
	Labels   map[string]string
	// PortFirst and PortLast are the range of node ports, both included.
	PortFirst, PortLast uint16
	// Subnet of the replicas, CIDR, and the gateway in it.
	Subnet, Gateway string
	// Version of this agent, RuntimeVersion of what runs its containers.
	Version, RuntimeVersion string
	// Allocatable replaces what is computed from the machine, field by field where not 0: several nodes may share a machine.
	Allocatable Resources
	// PlainHTTPRegistries are asked without TLS, besides those on loopback: host or host:port as in image references.
	PlainHTTPRegistries []string
	// Parallel actions and Pulls at once; 0 means the default for this machine.
	Parallel, Pulls int
}

// Resources are amounts of a machine.
type Resources struct {
	MilliCPU, MemoryBytes, DiskBytes int64
}

// Validate names everything that is missing or contradictory.
func (c Config) Validate() error {
	var problems []error
	for name, value := range map[string]string{"name": c.Name, "data directory": c.DataDir, "address": c.Address, "region": c.Region} {
		if value == "" {
			problems = append(problems, fmt.Errorf("check agent configuration: no %s", name))
		}
	}
	if c.PortFirst == 0 || c.PortLast < c.PortFirst {
		problems = append(problems, fmt.Errorf("check agent configuration: port range %d-%d", c.PortFirst, c.PortLast))
	}
	if a := c.Allocatable; a.MilliCPU < 0 || a.MemoryBytes < 0 || a.DiskBytes < 0 || c.Parallel < 0 || c.Pulls < 0 {
		problems = append(problems, errors.New("check agent configuration: negative amount"))
	}
	return errors.Join(problems...)
}

// offers reports whether a node port is in the node's range.
func (c Config) offers(port uint32) bool {
	return port >= uint32(c.PortFirst) && port <= uint32(c.PortLast)
}

func (c Config) withDefaults() Config {
	if c.Parallel == 0 {
		c.Parallel = perCore * goruntime.NumCPU()
	}
	if c.Pulls == 0 {
		c.Pulls = defaultPulls
	}
	return c
}

// plainHTTP tells whether the registry of an image may be asked without TLS.
func (c Config) plainHTTP(image string) bool {
	registry, _, _ := strings.Cut(image, "/")
	return slices.Contains(c.PlainHTTPRegistries, registry)
}
