package agent

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// What is kept back for the system, containerd, the agent and an ingress: a share that grows with the machine, and a least
// amount that lets a small one breathe.
const (
	reservedCPUPart    = 20  // 5 %
	leastReservedCPU   = 100 // mCPU
	reservedMemPart    = 20  // 5 %
	leastReservedMem   = 256 << 20
	reservedDiskPart   = 5 // 20 %: images, which are not collected, and logs
	millisPerCore      = 1000
	bytesPerMeminfoKiB = 1024
)

// machine reads what the kernel says of the machine.
type machine struct{ proc string }

// facts says what the node is and offers. It reads the machine anew each time, for a machine may be resized.
func (c Config) facts(m machine) (*runwayv1.NodeFacts, error) {
	capacity, err := m.capacity(c.DataDir)
	if err != nil {
		return nil, err
	}
	kernel, err := m.word("sys/kernel/osrelease")
	if err != nil {
		return nil, err
	}
	boot, err := m.word("sys/kernel/random/boot_id")
	if err != nil {
		return nil, err
	}
	free := c.Allocatable.or(capacity.allocatable())
	return &runwayv1.NodeFacts{
		Address: c.Address, Region: c.Region, Pool: c.Pool, Labels: c.Labels,
		CapacityCpuMilli: capacity.MilliCPU, CapacityMemoryBytes: capacity.MemoryBytes, CapacityDiskBytes: capacity.DiskBytes,
		AllocatableCpuMilli: free.MilliCPU, AllocatableMemoryBytes: free.MemoryBytes, AllocatableDiskBytes: free.DiskBytes,
		PortFirst: uint32(c.PortFirst), PortLast: uint32(c.PortLast), Subnet: c.Subnet, Gateway: c.Gateway,
		AgentVersion: c.Version, RuntimeVersion: c.RuntimeVersion, KernelVersion: kernel, BootId: boot,
		IdentityAddress: c.Identity,
	}, nil
}

func (m machine) capacity(dataDir string) (Resources, error) {
	memory, err := m.memory()
	if err != nil {
		return Resources{}, err
	}
	processors, err := m.processors()
	if err != nil {
		return Resources{}, err
	}
	var disk unix.Statfs_t
	if err := unix.Statfs(dataDir, &disk); err != nil {
		return Resources{}, fmt.Errorf("read size of disk of %q: %w", dataDir, err)
	}
	return Resources{
		MilliCPU:    processors * millisPerCore,
		MemoryBytes: memory,
		DiskBytes:   int64(disk.Blocks) * disk.Bsize,
	}, nil
}

// allocatable is what replicas may reserve.
func (r Resources) allocatable() Resources {
	return Resources{
		MilliCPU:    max(0, r.MilliCPU-max(leastReservedCPU, r.MilliCPU/reservedCPUPart)),
		MemoryBytes: max(0, r.MemoryBytes-max(leastReservedMem, r.MemoryBytes/reservedMemPart)),
		DiskBytes:   r.DiskBytes - r.DiskBytes/reservedDiskPart,
	}
}

// or fills what is not set.
func (r Resources) or(computed Resources) Resources {
	if r.MilliCPU == 0 {
		r.MilliCPU = computed.MilliCPU
	}
	if r.MemoryBytes == 0 {
		r.MemoryBytes = computed.MemoryBytes
	}
	if r.DiskBytes == 0 {
		r.DiskBytes = computed.DiskBytes
	}
	return r
}

// processors counts those that are online: Go's own count is that of its start.
func (m machine) processors() (int64, error) {
	text, err := os.ReadFile(m.proc + "/stat")
	if err != nil {
		return 0, fmt.Errorf("read processors of the machine: %w", err)
	}
	online := int64(0)
	for line := range strings.Lines(string(text)) {
		name, _, _ := strings.Cut(line, " ")
		if _, err := strconv.Atoi(strings.TrimPrefix(name, "cpu")); err == nil && strings.HasPrefix(name, "cpu") {
			online++
		}
	}
	if online == 0 {
		return 0, fmt.Errorf("read processors of the machine: none in %s/stat", m.proc)
	}
	return online, nil
}

func (m machine) memory() (int64, error) {
	text, err := os.ReadFile(m.proc + "/meminfo")
	if err != nil {
		return 0, fmt.Errorf("read memory of the machine: %w", err)
	}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 || fields[0] != "MemTotal:" {
			continue
		}
		amount, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read memory of the machine: %w", err)
		}
		return amount * bytesPerMeminfoKiB, nil
	}
	return 0, fmt.Errorf("read memory of the machine: no MemTotal in %s/meminfo", m.proc)
}

func (m machine) word(name string) (string, error) {
	text, err := os.ReadFile(m.proc + "/" + name)
	if err != nil {
		return "", fmt.Errorf("read facts of the machine: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}
