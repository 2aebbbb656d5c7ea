package agent

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// ErrCorrupt is a file of the agent that is not as it was written.
var ErrCorrupt = errors.New("damaged")

const (
	// fileMagic names the kind and format of the agent's files, so that a foreign file is never mistaken for one.
	fileMagic = "runway agent file 1\n"
	// maxFileBytes bounds what is read back: a node's assignments are far below it, so a larger file is a foreign one.
	maxFileBytes = 64 << 20
)

// castagnoli has hardware support on every processor that runs containers.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// writeFile replaces path as a whole: after a crash there is either the old content or the new one. With durable it outlives a
// loss of power, too.
func writeFile(path string, payload []byte, durable bool) error {
	header := binary.BigEndian.AppendUint32([]byte(fileMagic), crc32.Checksum(payload, castagnoli))
	temporary := path + ".new"
	if err := fill(temporary, append(header, payload...), durable); err != nil {
		return fmt.Errorf("write file %q: %w", path, err)
	}
	if err := os.Rename(temporary, path); err != nil {
		return fmt.Errorf("write file %q: %w", path, err)
	}
	if !durable {
		return nil
	}
	return syncFolder(filepath.Dir(path))
}

func fill(path string, content []byte, durable bool) (err error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if _, err := file.Write(content); err != nil {
		return err
	}
	if durable {
		return file.Sync()
	}
	return nil
}

// syncFolder makes a rename durable.
func syncFolder(path string) (err error) {
	folder, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	defer func() { err = errors.Join(err, folder.Close()) }()
	if err := folder.Sync(); err != nil {
		return fmt.Errorf("sync folder %q: %w", path, err)
	}
	return nil
}

// readFile returns what writeFile wrote. Errors: os.ErrNotExist, ErrCorrupt.
func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read file: %w", err)
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxFileBytes))
	if err != nil {
		return nil, fmt.Errorf("read file: %w", err)
	}
	header := len(fileMagic) + crc32.Size
	if len(content) < header || string(content[:len(fileMagic)]) != fileMagic {
		return nil, fmt.Errorf("read file %q: %w: not a file of the agent", path, ErrCorrupt)
	}
	if binary.BigEndian.Uint32(content[len(fileMagic):header]) != crc32.Checksum(content[header:], castagnoli) {
		return nil, fmt.Errorf("read file %q: %w: checksum differs", path, ErrCorrupt)
	}
	return content[header:], nil
}
