package network

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// ports remembers the host end of each live replica's link, by interface index. The zero value is ready.
type ports struct {
	mu    sync.Mutex
	links map[string]int
}

func (p *ports) add(replicaID string, link int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.links == nil {
		p.links = make(map[string]int)
	}
	p.links[replicaID] = link
}

func (p *ports) remove(replicaID string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.links, replicaID)
}

func (p *ports) all() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.links)
}

// repairPorts puts every live replica's link back on the bridge, isolated from the other ports.
func (n *Network) repairPorts(context.Context) ([]Drift, error) {
	bridge, err := netlink.LinkByName(n.cfg.Bridge)
	if err != nil {
		return nil, fmt.Errorf("find bridge %q: %w", n.cfg.Bridge, err)
	}
	now, err := dump(bridgePorts)
	if err != nil {
		return nil, fmt.Errorf("list ports of bridge %q: %w", n.cfg.Bridge, err)
	}
	var drifts []Drift
	for replicaID, link := range n.ports.all() {
		if now[link] == (bridgePort{bridge.Attrs().Index, true}) {
			continue
		}
		err := isolate(bridge, link)
		if errors.Is(err, unix.ENODEV) {
			n.ports.remove(replicaID) // its namespace is gone; Attach makes a new one
			continue
		}
		if err != nil {
			return drifts, fmt.Errorf("isolate replica %q: %w", replicaID, err)
		}
		drifts = append(drifts, Drift{"port", fmt.Sprintf("replica %s was off the bridge or not isolated", replicaID)})
	}
	return drifts, nil
}

// isolate makes a link a port of the bridge that exchanges frames with the bridge itself only, never with other such ports.
func isolate(bridge netlink.Link, index int) error {
	link := &netlink.GenericLink{LinkAttrs: netlink.LinkAttrs{Index: index}}
	if err := netlink.LinkSetMaster(link, bridge); err != nil {
		return fmt.Errorf("attach port: %w", err)
	}
	if err := netlink.LinkSetIsolated(link, true); err != nil {
		return fmt.Errorf("isolate port: %w", err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("set port up: %w", err)
	}
	return nil
}

// bridgePort is what the kernel knows of a port.
type bridgePort struct {
	bridge   int
	isolated bool
}

// bridgePorts returns the ports of all bridges by interface index. The netlink library has only a call that reads all ports to
// tell about one.
func bridgePorts() (map[int]bridgePort, error) {
	req := nl.NewNetlinkRequest(unix.RTM_GETLINK, unix.NLM_F_DUMP)
	req.AddData(nl.NewIfInfomsg(unix.AF_BRIDGE))
	msgs, err := req.Execute(unix.NETLINK_ROUTE, 0)
	if err != nil {
		return nil, err
	}
	ports := make(map[int]bridgePort, len(msgs))
	for _, m := range msgs {
		info := nl.DeserializeIfInfomsg(m)
		attrs, err := nl.ParseRouteAttr(m[info.Len():])
		if err != nil {
			return nil, fmt.Errorf("parse port %d: %w", info.Index, err)
		}
		port, err := parsePort(attrs)
		if err != nil {
			return nil, fmt.Errorf("parse port %d: %w", info.Index, err)
		}
		ports[int(info.Index)] = port
	}
	return ports, nil
}

func parsePort(attrs []syscall.NetlinkRouteAttr) (bridgePort, error) {
	var port bridgePort
	for _, attr := range attrs {
		switch attr.Attr.Type {
		case unix.IFLA_MASTER:
			port.bridge = int(nl.NativeEndian().Uint32(attr.Value))
		case unix.IFLA_PROTINFO | unix.NLA_F_NESTED:
			infos, err := nl.ParseRouteAttr(attr.Value)
			if err != nil {
				return port, err
			}
			for _, info := range infos {
				if info.Attr.Type == nl.IFLA_BRPORT_ISOLATED {
					port.isolated = info.Value[0] != 0
				}
			}
		}
	}
	return port, nil
}
