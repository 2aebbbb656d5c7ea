package runtime

import (
	"fmt"
	"time"
)

// ContainerID names one attempt of one replica.
type ContainerID string

// NewContainerID returns the ID of an attempt of a replica.
func NewContainerID(replica string, attempt int) ContainerID {
	return ContainerID(fmt.Sprintf("%s-%d", replica, attempt))
}

// Bytes is an amount of memory.
type Bytes int64

// MilliCPU is a thousandth of one processor.
type MilliCPU int64

// DefaultPids bounds the processes and threads of a container: more than any web service needs, few enough that a fork bomb
// leaves the node's own PIDs alone.
const DefaultPids = 512

// ContainerSpec is all that decides how a container runs.
type ContainerSpec struct {
	ID ContainerID
	// Image is the reference given to Pull.
	Image string
	// Command replaces the image's entrypoint and its arguments, Args the arguments alone. Nil keeps the image's.
	Command []string
	Args    []string
	// Env holds KEY=value lines which win over the image's.
	Env []string
	// Hostname inside the container.
	Hostname string
	// NetNSPath is the network namespace to join. Empty means a new one without any interface, never the node's.
	NetNSPath string
	// ResolvConfPath and HostsPath are files of the node shown read-only as /etc/resolv.conf and /etc/hosts. Empty means the
	// image's own.
	ResolvConfPath string
	HostsPath      string
	// LogPath is the spool file that output is appended to. Its folder must exist and be out of the container's reach.
	LogPath   string
	Resources Resources
	// Restricted is the strict policy of a space: no capability but NET_BIND_SERVICE, and never root.
	Restricted bool
	// Labels come back from List. The prefixes of containerd and nerdctl are refused.
	Labels map[string]string
}

// Resources are the limits of a container.
type Resources struct {
	// CPULimit is a ceiling in each 100 ms. 0 means none.
	CPULimit MilliCPU
	// CPUReservation is the container's weight when processors are short. 0 means the smallest weight.
	CPUReservation MilliCPU
	// Memory is a hard limit, page cache included; swap is off. It must be set.
	Memory Bytes
	// Pids bounds processes and threads; 0 means DefaultPids.
	Pids int64
}

// State is where a container is in its life: Created -> Running -> Exited. A container that can no longer be supervised is
// Unknown, from any of them; all that can be done with it is Delete.
type State string

// The states of a container.
const (
	StateCreated State = "created"
	StateRunning State = "running"
	StateExited  State = "exited"
	StateUnknown State = "unknown"
)

// Container is an observed container.
type Container struct {
	ID     ContainerID
	Labels map[string]string
	State  State
	// PID of the first process as the node sees it; 0 when none lives.
	PID int
	// CreatedAt is zero for a leftover without a record.
	CreatedAt time.Time
	// StartedAt is when Start was called; a restart of the agent does not change it.
	StartedAt time.Time
	// FinishedAt and ExitCode are set when Exited. Death by signal n is 128+n.
	FinishedAt time.Time
	ExitCode   int
	OOM        OOM
	// Silent is true while the container's supervisor does not answer although its processes live: State is then what the kernel
	// shows. When they end nobody knows how, and the container is Unknown.
	Silent bool
}

// OOM says what the memory limit did to a container. A child's death leaves the exit code at 0, so the code alone tells
// nothing.
type OOM struct {
	// Kills is how many processes of the container the kernel has killed for memory so far.
	Kills int64
	// Limit in force, and the most that was ever used. 0 when the kernel does not tell.
	Limit Bytes
	Peak  Bytes
}

// Stats is a reading of a running container.
type Stats struct {
	// CPU is the processor time used since the start.
	CPU time.Duration
	// MemoryWorkingSet is what cannot be reclaimed: use without inactive file pages. MemoryPeak is the most ever used.
	MemoryWorkingSet Bytes
	MemoryPeak       Bytes
	// Pids is the number of processes and threads.
	Pids int64
}

// Repair is something that a runtime ended by force, because nobody supervised it any more.
type Repair struct {
	ID ContainerID
	// Detail says what was ended, for people.
	Detail string
}

// EventKind says what happened.
type EventKind string

// The kinds of Event.
const (
	EventExit EventKind = "exit"
	EventOOM  EventKind = "oom"
)

// Event is a hint to look at a container now. It carries no facts beyond that: List has them.
type Event struct {
	Kind EventKind
	ID   ContainerID
}
