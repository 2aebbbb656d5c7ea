package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/containerd/platforms"
)

const (
	// floorNamespace of containerd is ours alone.
	floorNamespace = "runway-bench-floor"
	floorPort      = 8080
	snapshotter    = "overlayfs"
	// floorLimit bounds one container of the floor.
	floorLimit = 30 * time.Second
)

// floor runs the same image with containerd's client and the CNI bridge plugin and
// nothing else: what any platform on these parts has to pay.
type floor struct {
	client *client.Client
	image  client.Image
	bridge *bridge
	dir    string
	made   int
}

// floorTimes are the moments of one container, after the first call.
type floorTimes struct {
	created  time.Duration // record, snapshot, shim and waiting process
	attached time.Duration // namespace, link and address
	started  time.Duration
	accepted time.Duration // the first TCP connection
}

// prepareFloor imports the image into a namespace of its own of the same containerd.
func (c *cluster) prepareFloor(ctx context.Context) error {
	f := &floor{dir: c.path("floor")}
	c.floor = f
	var err error
	if f.client, err = client.New(c.containerd, client.WithDefaultNamespace(floorNamespace)); err != nil {
		return fmt.Errorf("connect containerd: %w", err)
	}
	if err := f.importImage(ctx, c.path("image.tar")); err != nil {
		return err
	}
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return fmt.Errorf("make folder of the floor: %w", err)
	}
	f.bridge, err = newBridge(f.dir)
	return err
}

func (f *floor) importImage(ctx context.Context, archive string) error {
	file, err := os.Open(archive)
	if err != nil {
		return fmt.Errorf("import image: %w", err)
	}
	defer file.Close()
	ctx = namespaces.WithNamespace(ctx, floorNamespace)
	images, err := f.client.Import(ctx, file, client.WithIndexName("bench"))
	if err != nil || len(images) == 0 {
		return fmt.Errorf("import image: %d images: %w", len(images), err)
	}
	f.image = client.NewImageWithPlatform(f.client, images[0], platforms.DefaultStrict())
	if err := f.image.Unpack(ctx, snapshotter); err != nil {
		return fmt.Errorf("unpack image: %w", err)
	}
	return nil
}

// deploy runs one container until it accepts a connection, and removes it.
func (f *floor) deploy(ctx context.Context) (t floorTimes, err error) {
	ctx, cancel := context.WithTimeout(namespaces.WithNamespace(ctx, floorNamespace), floorLimit)
	defer cancel()
	begin := time.Now()
	id := f.id()
	namespace := filepath.Join(f.dir, id)
	if err := makeNamespace(namespace); err != nil {
		return t, err
	}
	defer func() { err = errors.Join(err, removeNamespace(namespace)) }()
	ip, err := f.bridge.attach(ctx, id, namespace)
	if err != nil {
		return t, err
	}
	defer func() { err = errors.Join(err, f.bridge.detach(ctx, id, namespace)) }()
	t.attached = time.Since(begin)
	task, err := f.create(ctx, id, oci.WithLinuxNamespace(networkNamespace(namespace)))
	if err != nil {
		return t, err
	}
	defer func() { err = errors.Join(err, f.remove(ctx, id)) }()
	t.created = time.Since(begin)
	if err := task.Start(ctx); err != nil {
		return t, fmt.Errorf("start: %w", err)
	}
	t.started = time.Since(begin)
	if err := accepts(ctx, ip); err != nil {
		return t, err
	}
	t.accepted = time.Since(begin)
	return t, nil
}
