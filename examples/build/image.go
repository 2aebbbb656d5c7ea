package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// nobody is the user that images without a distribution commonly run as.
const nobody = 65532

// epoch is the time of everything in the image.
var epoch = time.Unix(0, 0).UTC()

// write makes the image and writes it as a docker-archive.
func write(path, imageName, arch string, binary []byte) (v1.Hash, error) {
	tag, err := name.NewTag(imageName + ":latest")
	if err != nil {
		return v1.Hash{}, fmt.Errorf("tag image %q: %w", imageName, err)
	}
	image, err := assemble(arch, binary)
	if err != nil {
		return v1.Hash{}, fmt.Errorf("make image %q: %w", imageName, err)
	}
	if err := tarball.WriteToFile(path, tag, image); err != nil {
		return v1.Hash{}, fmt.Errorf("write image to %q: %w", path, err)
	}
	return image.Digest()
}

// assemble puts a binary on an empty file system.
func assemble(arch string, binary []byte) (v1.Image, error) {
	files, err := layer(binary)
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(files)), nil })
	if err != nil {
		return nil, err
	}
	image, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return nil, err
	}
	present, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	return mutate.ConfigFile(image, configuration(present.RootFS, arch))
}

// configuration says how to run the image that has the layers of root.
func configuration(root v1.RootFS, arch string) *v1.ConfigFile {
	return &v1.ConfigFile{
		OS: "linux", Architecture: arch, Created: v1.Time{Time: epoch}, RootFS: root,
		Config: v1.Config{
			Entrypoint: []string{"/app"}, User: fmt.Sprintf("%d:%d", nobody, nobody), WorkingDir: "/",
			Env: []string{"PATH=/"}, ExposedPorts: map[string]struct{}{"8080/tcp": {}},
		},
	}
}

// layer is a tar of the few files that a static program needs.
func layer(binary []byte) ([]byte, error) {
	var buffer bytes.Buffer
	w := tar.NewWriter(&buffer)
	passwd := fmt.Sprintf("root:x:0:0:root:/:/\nnobody:x:%d:%d:nobody:/:/\n", nobody, nobody)
	err := errors.Join(
		add(w, tar.Header{Name: "app", Mode: 0o755}, binary),
		add(w, tar.Header{Name: "etc/", Typeflag: tar.TypeDir, Mode: 0o755}, nil),
		add(w, tar.Header{Name: "etc/passwd", Mode: 0o644}, []byte(passwd)),
		add(w, tar.Header{Name: "tmp/", Typeflag: tar.TypeDir, Mode: 0o1777}, nil),
		w.Close(),
	)
	return buffer.Bytes(), err
}

func add(w *tar.Writer, header tar.Header, content []byte) error {
	header.ModTime, header.Size = epoch, int64(len(content))
	if err := w.WriteHeader(&header); err != nil {
		return fmt.Errorf("add %s: %w", header.Name, err)
	}
	if _, err := w.Write(content); err != nil {
		return fmt.Errorf("add %s: %w", header.Name, err)
	}
	return nil
}
