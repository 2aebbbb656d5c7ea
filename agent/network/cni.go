package network

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/invoke"
	"github.com/containernetworking/cni/pkg/version"
)

// pluginTimeout bounds one ADD or DEL, which takes some 20 ms on an idle machine.
const pluginTimeout = 15 * time.Second

// cni runs the plugins. It uses libcni itself: containerd/go-cni wraps it, but keeps its cache in /var/lib/cni, which all nodes
// of a machine would share and nobody would remove, and brings the loopback up by one more plugin.
type cni struct {
	lib  *libcni.CNIConfig
	list *libcni.NetworkConfigList
	path string
	conf []byte
}

func newCNI(cfg Config) (*cni, error) {
	conf, err := confList(cfg)
	if err != nil {
		return nil, err
	}
	list, err := libcni.ConfListFromBytes(conf)
	if err != nil {
		return nil, fmt.Errorf("parse CNI config of node %q: %w", cfg.Node, err)
	}
	exec := &invoke.DefaultExec{RawExec: &invoke.RawExec{}, PluginDecoder: version.PluginDecoder{}}
	return &cni{
		lib:  libcni.NewCNIConfigWithCacheDir(cfg.PluginDirs, filepath.Join(cfg.StateDir, "cni"), exec),
		list: list,
		path: filepath.Join(cfg.StateDir, "runway.conflist"),
		conf: conf,
	}, nil
}

// confList is one plugin, bridge, with host-local for addresses. Bridge, gateway address, masquerade and filter are ours (isGateway and
// ipMasq off), since the plugins make them once and never look again.
func confList(cfg Config) ([]byte, error) {
	type object = map[string]any
	conf, err := json.MarshalIndent(object{
		"cniVersion": "1.0.0",
		"name":       cfg.cniNetwork(),
		"plugins": []object{{
			"type":          "bridge",
			"bridge":        cfg.Bridge,
			"isGateway":     false,
			"ipMasq":        false,
			"mtu":           cfg.MTU,
			"portIsolation": true, // plugins that do not know it ignore it: see isolate
			"ipam": object{
				"type":    "host-local",
				"dataDir": filepath.Dir(cfg.addressDir()),
				"ranges":  [][]object{{{"subnet": cfg.Subnet, "gateway": cfg.Gateway()}}},
				"routes":  []object{{"dst": "0.0.0.0/0"}},
			},
		}},
	}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode CNI config of node %q: %w", cfg.Node, err)
	}
	return append(conf, '\n'), nil
}

// writeConf leaves the config where an operator can read it and run cnitool with it.
func (c *cni) writeConf() error {
	if err := os.WriteFile(c.path, c.conf, 0o600); err != nil {
		return fmt.Errorf("write CNI config: %w", err)
	}
	return nil
}

// add gives the namespace its interface, with the address ip unless that is the zero one.
func (c *cni) add(ctx context.Context, replicaID, path string, ip netip.Addr) error {
	ctx, cancel := context.WithTimeout(ctx, pluginTimeout)
	defer cancel()
	args := runtimeConf(replicaID, path)
	if ip.IsValid() {
		args.Args = append(args.Args, [2]string{"IP", ip.String()})
	}
	if _, err := c.lib.AddNetworkList(ctx, c.list, args); err != nil {
		return fmt.Errorf("run CNI plugins: %w", err)
	}
	return nil
}

// remove takes the interface away and gives the address back; a path of a namespace that is gone must be empty.
func (c *cni) remove(ctx context.Context, replicaID, path string) error {
	ctx, cancel := context.WithTimeout(ctx, pluginTimeout)
	defer cancel()
	if err := c.lib.DelNetworkList(ctx, c.list, runtimeConf(replicaID, path)); err != nil {
		return fmt.Errorf("run CNI plugins: %w", err)
	}
	return nil
}

func runtimeConf(replicaID, path string) *libcni.RuntimeConf {
	return &libcni.RuntimeConf{
		ContainerID: replicaID,
		NetNS:       path,
		IfName:      interfaceName,
		Args:        [][2]string{{"IgnoreUnknown", "1"}},
	}
}

// reservations reads host-local's folder: a file for each address, its first line the replica. It outlives a reboot, so a
// replica's address is given to nobody else while the replica exists.
func reservations(dir string) (map[string]netip.Addr, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list address reservations: %w", err)
	}
	reserved := make(map[string]netip.Addr)
	for _, entry := range entries {
		addr, err := netip.ParseAddr(entry.Name())
		if err != nil {
			continue // the lock and last_reserved_ip files
		}
		text, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // given back meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("read address reservation: %w", err)
		}
		replicaID, _, _ := strings.Cut(string(text), "\n")
		reserved[strings.TrimSpace(replicaID)] = addr
	}
	return reserved, nil
}
