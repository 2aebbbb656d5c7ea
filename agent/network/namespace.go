package network

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"runtime"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// interfaceName is what the replica sees, as with every other container runtime.
const interfaceName = "eth0"

// errNotWhole says that a namespace is missing or was made only in part.
var errNotWhole = errors.New("namespace is not whole")

// makeNamespace makes a network namespace with its loopback up and keeps it alive by a mount on path.
func makeNamespace(path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDONLY, 0o444)
	if err != nil {
		return fmt.Errorf("make namespace file: %w", err)
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("make namespace file: %w", err)
	}
	made := make(chan error, 1)
	go func() { made <- mountNewNamespace(path) }()
	if err := <-made; err != nil {
		return errors.Join(fmt.Errorf("make namespace %q: %w", path, err), removeNamespace(path))
	}
	return nil
}

// mountNewNamespace runs on a goroutine of its own. It gives its thread back only once that is in the old namespace again; on
// an error before, the thread ends with the goroutine.
func mountNewNamespace(path string) error {
	runtime.LockOSThread()
	before, err := netns.Get()
	if err != nil {
		return fmt.Errorf("open own namespace: %w", err)
	}
	defer before.Close()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("unshare: %w", err)
	}
	if err := setLoopbackUp(); err != nil {
		return err
	}
	own := fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid())
	if err := unix.Mount(own, path, "none", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	if err := netns.Set(before); err != nil {
		return fmt.Errorf("return to own namespace: %w", err)
	}
	runtime.UnlockOSThread()
	return nil
}

func setLoopbackUp() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find loopback: %w", err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return fmt.Errorf("set loopback up: %w", err)
	}
	return nil
}

// removeNamespace is idempotent. The kernel frees the namespace once its last process has ended.
func removeNamespace(path string) error {
	for {
		err := unix.Unmount(path, unix.MNT_DETACH)
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
			break // no mount is left on it
		}
		if err != nil {
			return fmt.Errorf("unmount namespace %q: %w", path, err)
		}
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove namespace file: %w", err)
	}
	return nil
}

// isNamespace tells a mounted namespace from the bare file that a crash or a reboot leaves.
func isNamespace(path string) bool {
	var stat unix.Statfs_t
	return unix.Statfs(path, &stat) == nil && stat.Type == unix.NSFS_MAGIC
}

// replicaLink is what a look into a namespace finds.
type replicaLink struct {
	address netip.Addr
	host    int // interface index of the end on the node
}

// inspect looks into a namespace. Error: errNotWhole unless its interface is up with an address of subnet and a default route.
func inspect(path string, subnet netip.Prefix) (replicaLink, error) {
	var found replicaLink
	if !isNamespace(path) {
		return found, errNotWhole
	}
	handle, link, err := openLink(path)
	if err != nil {
		return found, err
	}
	defer handle.Close()
	addrs, err := dump(func() ([]netlink.Addr, error) { return handle.AddrList(link, netlink.FAMILY_V4) })
	if err != nil {
		return found, fmt.Errorf("list addresses in %q: %w", path, err)
	}
	for _, a := range addrs {
		if addr := addrOf(a.IP); subnet.Contains(addr) {
			found = replicaLink{address: addr, host: link.Attrs().ParentIndex}
		}
	}
	routes, err := dump(func() ([]netlink.Route, error) { return handle.RouteList(link, netlink.FAMILY_V4) })
	if err != nil {
		return found, fmt.Errorf("list routes in %q: %w", path, err)
	}
	for _, r := range routes {
		if r.Gw != nil && found.address.IsValid() && link.Attrs().Flags&net.FlagUp != 0 {
			return found, nil
		}
	}
	return found, errNotWhole
}

func openLink(path string) (*netlink.Handle, netlink.Link, error) {
	ns, err := netns.GetFromPath(path)
	if err != nil {
		return nil, nil, fmt.Errorf("open namespace %q: %w", path, err)
	}
	defer ns.Close()
	handle, err := netlink.NewHandleAt(ns, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, nil, fmt.Errorf("enter namespace %q: %w", path, err)
	}
	link, err := handle.LinkByName(interfaceName)
	if err != nil {
		handle.Close()
		if _, ok := errors.AsType[netlink.LinkNotFoundError](err); ok {
			return nil, nil, errNotWhole
		}
		return nil, nil, fmt.Errorf("find interface in %q: %w", path, err)
	}
	return handle, link, nil
}
