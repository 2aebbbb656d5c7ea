package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"unicode/utf8"

	"github.com/runway-platform/runway/proto/code"
)

// maxFileBytes bounds a manifest or env file. Real ones have a few kilobytes, and
// a revision with its environment is one entry of the Raft log.
const maxFileBytes = 128 << 10

// readFile returns the text of a manifest or env file, or why it cannot be one.
func readFile(path string) ([]byte, *Problem) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, unreadable(path, reason(err), "name the manifest with -f FILE")
	}
	if !info.Mode().IsRegular() {
		return nil, unreadable(path, "it is not a regular file", "name the manifest with -f FILE")
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, unreadable(path, reason(err), "make it readable")
	}
	data, err := io.ReadAll(io.LimitReader(file, maxFileBytes+1))
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, unreadable(path, reason(err), "check the disk")
	}
	return data, checkText(path, data)
}

// checkText refuses what no parser should be given.
func checkText(path string, data []byte) *Problem {
	switch {
	case len(data) > maxFileBytes:
		return unreadable(path, fmt.Sprintf("it is larger than %d KiB", maxFileBytes>>10), "keep data out of the manifest")
	case bytes.HasPrefix(data, []byte{0xFF, 0xFE}), bytes.HasPrefix(data, []byte{0xFE, 0xFF}):
		return unreadable(path, "it is UTF-16", "save it as UTF-8")
	case bytes.IndexByte(data, 0) >= 0:
		return unreadable(path, "it has a NUL byte", "save it as UTF-8 text")
	case !utf8.Valid(data):
		return unreadable(path, "it is not UTF-8", "save it as UTF-8")
	}
	return nil
}

func unreadable(path, why, fix string) *Problem {
	return &Problem{File: path, Code: code.ManifestUnreadable, Message: "read file: " + why, Fix: fix}
}

// reason is err without the path, which the problem names already.
func reason(err error) string {
	var pathError *os.PathError
	if errors.As(err, &pathError) {
		return pathError.Err.Error()
	}
	return err.Error()
}
