package cli

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"regexp"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/runway-platform/runway/proto/code"
)

const (
	// maxArchiveBytes bounds what an archive may unpack to; larger images are
	// pushed by other means.
	maxArchiveBytes = 20 << 30
	// maxArchiveEntries bounds its files: an image has some dozens of blobs.
	maxArchiveEntries = 10_000
)

// archive is an image that was read from a file: one image or an index of several
// platforms.
type archive struct {
	image  v1.Image
	index  v1.ImageIndex
	digest v1.Hash
	// folder holds what was unpacked; empty when nothing was.
	folder string
}

// remove deletes what was unpacked. What is left in the temporary folder after a
// failure is the system's to clear.
func (r *archive) remove() {
	if r.folder != "" {
		_ = os.RemoveAll(r.folder)
	}
}

// openArchive reads an archive far enough to know that it is an image.
func openArchive(kind, file string) (*archive, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, fail(code.ImageArchiveInvalid, "open archive: %v", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fail(code.ImageArchiveInvalid, "open archive: %s is not a regular file", file)
	}
	open := openDockerArchive
	if kind == ociArchive {
		open = openOCIArchive
	}
	opened, err := open(file)
	if err != nil {
		return nil, fail(code.ImageArchiveInvalid, "read %s%s: %v", kind, file, err)
	}
	return opened, nil
}

func openDockerArchive(file string) (*archive, error) {
	image, err := tarball.ImageFromPath(file, nil)
	if err != nil {
		return nil, err
	}
	return imageArchive(image, "")
}

func imageArchive(image v1.Image, folder string) (*archive, error) {
	if _, err := image.ConfigFile(); err != nil {
		return nil, fmt.Errorf("read configuration of the image: %w", err)
	}
	digest, err := image.Digest()
	if err != nil {
		return nil, fmt.Errorf("read layers of the image: %w", err)
	}
	return &archive{image: image, digest: digest, folder: folder}, nil
}

// openOCIArchive unpacks the layout into a folder of its own and opens it there.
func openOCIArchive(file string) (*archive, error) {
	folder, err := os.MkdirTemp("", "runway-image-")
	if err != nil {
		return nil, err
	}
	opened, err := unpackAndOpen(file, folder)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	return opened, nil
}

func unpackAndOpen(file, folder string) (*archive, error) {
	if err := unpack(file, folder); err != nil {
		return nil, err
	}
	index, err := layout.ImageIndexFromPath(folder)
	if err != nil {
		return nil, err
	}
	listed, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	if len(listed.Manifests) != 1 {
		return nil, fmt.Errorf("it holds %d images, not one", len(listed.Manifests))
	}
	only := listed.Manifests[0]
	if only.MediaType.IsIndex() {
		inner, err := index.ImageIndex(only.Digest)
		if err != nil {
			return nil, err
		}
		return &archive{index: inner, digest: only.Digest, folder: folder}, nil
	}
	image, err := index.Image(only.Digest)
	if err != nil {
		return nil, err
	}
	return imageArchive(image, folder)
}

// layoutFile are the names that an OCI layout consists of. Nothing else is written.
var layoutFile = regexp.MustCompile(`^(oci-layout|index\.json|blobs/sha256/[0-9a-f]{64}|blobs/sha512/[0-9a-f]{128})$`)

// unpack writes the files of a layout below folder and nothing outside of it.
func unpack(file, folder string) error {
	source, err := os.Open(file)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return errors.Join(err, source.Close())
	}
	return errors.Join(unpackEntries(tar.NewReader(source), root), root.Close(), source.Close())
}

func unpackEntries(reader *tar.Reader, root *os.Root) error {
	left := int64(maxArchiveBytes)
	for range maxArchiveEntries {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name, wanted, err := checkEntry(header)
		if err != nil {
			return err
		}
		if left -= header.Size; left < 0 {
			return fmt.Errorf("it unpacks to more than %s", size(maxArchiveBytes))
		}
		if wanted {
			if err := writeEntry(reader, root, name); err != nil {
				return fmt.Errorf("unpack %s: %w", name, err)
			}
		}
	}
	return fmt.Errorf("it has more than %d files", maxArchiveEntries)
}

// checkEntry refuses what only a hostile archive has, and says whether the entry
// is part of the layout.
func checkEntry(header *tar.Header) (name string, wanted bool, err error) {
	name = path.Clean(strings.TrimPrefix(header.Name, "./"))
	if path.IsAbs(header.Name) || name == ".." || strings.HasPrefix(name, "../") {
		return "", false, fmt.Errorf("entry %q leads out of the archive", header.Name)
	}
	switch header.Typeflag {
	case tar.TypeDir:
		return name, false, nil
	case tar.TypeReg:
		return name, layoutFile.MatchString(name), nil
	}
	return "", false, fmt.Errorf("entry %q is neither a file nor a folder", header.Name)
}

func writeEntry(reader io.Reader, root *os.Root, name string) error {
	if err := root.MkdirAll(path.Dir(name), 0o700); err != nil {
		return err
	}
	out, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, reader)
	return errors.Join(err, out.Close())
}
