package main

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/invoke"
	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/cni/pkg/version"
	"github.com/vishvananda/netlink"
)

const (
	floorBridge = "rwbench0"
	// floorSubnet is set aside for benchmarks (RFC 2544).
	floorSubnet = "198.18.77.0/24"
)

// pluginDirs are where distributions put the CNI plugins.
var pluginDirs = []string{"/usr/lib/cni", "/opt/cni/bin"}

// bridge is the CNI plugin of that name, with host-local for addresses.
type bridge struct {
	lib  *libcni.CNIConfig
	list *libcni.NetworkConfigList
}

// newBridge keeps the plugins' state in dir.
func newBridge(dir string) (*bridge, error) {
	list, err := libcni.ConfListFromBytes(fmt.Appendf(nil, `{"cniVersion":"1.0.0","name":"runway-bench","plugins":[{
		"type":"bridge","bridge":%q,"isGateway":true,"ipam":{
			"type":"host-local","dataDir":%q,"ranges":[[{"subnet":%q}]],"routes":[{"dst":"0.0.0.0/0"}]}}]}`, floorBridge, dir, floorSubnet))
	if err != nil {
		return nil, fmt.Errorf("load CNI: %w", err)
	}
	exec := &invoke.DefaultExec{RawExec: &invoke.RawExec{}, PluginDecoder: version.PluginDecoder{}}
	return &bridge{lib: libcni.NewCNIConfigWithCacheDir(pluginDirs, dir, exec), list: list}, nil
}

// attach gives a namespace its link and returns its address.
func (b *bridge) attach(ctx context.Context, id, namespace string) (net.IP, error) {
	result, err := b.lib.AddNetworkList(ctx, b.list, place(id, namespace))
	if err != nil {
		return nil, fmt.Errorf("attach to bridge: %w", err)
	}
	attached, err := types100.NewResultFromResult(result)
	if err != nil || len(attached.IPs) == 0 {
		return nil, fmt.Errorf("attach to bridge: no address: %w", err)
	}
	return attached.IPs[0].Address.IP, nil
}

func (b *bridge) detach(ctx context.Context, id, namespace string) error {
	if err := b.lib.DelNetworkList(ctx, b.list, place(id, namespace)); err != nil {
		return fmt.Errorf("detach from bridge: %w", err)
	}
	return nil
}

func place(id, namespace string) *libcni.RuntimeConf {
	return &libcni.RuntimeConf{ContainerID: id, NetNS: namespace, IfName: "eth0"}
}

// removeBridge removes what the plugin made for all containers together.
func removeBridge() error {
	link, err := netlink.LinkByName(floorBridge)
	var absent netlink.LinkNotFoundError
	if errors.As(err, &absent) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("find bridge %q: %w", floorBridge, err)
	}
	if err := netlink.LinkDel(link); err != nil {
		return fmt.Errorf("remove bridge %q: %w", floorBridge, err)
	}
	return nil
}
