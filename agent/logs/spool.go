package logs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// punchStep is how much kept output is given back to the disk at once.
	punchStep = 1 << 20
	// blockBytes is the unit in which file systems can free space.
	blockBytes = 4096
)

// spool is the raw output of one container as its shim appends it, and how much of it is kept already.
type spool struct {
	path    string
	file    *os.File
	mark    *os.File
	offset  int64
	punched int64
}

// open opens the spool once it exists; until then it reports false. It follows no link: the file is written on behalf of a
// container, and a link would make the agent read or punch something else.
func (s *spool) open() (bool, error) {
	if s.file != nil {
		return true, nil
	}
	file, err := os.OpenFile(s.path, os.O_RDWR|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("open spool: %w", err)
	}
	info, err := file.Stat()
	if err != nil {
		return false, errors.Join(fmt.Errorf("open spool: %w", err), file.Close())
	}
	if !info.Mode().IsRegular() {
		return false, errors.Join(fmt.Errorf("open spool %q: not a regular file", s.path), file.Close())
	}
	s.file = file
	return true, nil
}

func (s *spool) size() (int64, error) {
	info, err := s.file.Stat()
	if err != nil {
		return 0, fmt.Errorf("read spool: %w", err)
	}
	return info.Size(), nil
}

// loadOffset reads how much of the spool was kept in an earlier life of the agent.
func (s *spool) loadOffset() error {
	mark, err := os.OpenFile(s.path+".offset", os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return fmt.Errorf("open spool offset: %w", err)
	}
	s.mark = mark
	var stored [8]byte
	if n, _ := mark.ReadAt(stored[:], 0); n == len(stored) {
		s.offset = int64(binary.BigEndian.Uint64(stored[:]))
	}
	s.offset = max(s.offset, 0)
	return nil
}

// advance records that everything before offset is kept. A crash between writing the lines and this repeats lines, it never
// loses any.
func (s *spool) advance(offset int64) error {
	var stored [8]byte
	binary.BigEndian.PutUint64(stored[:], uint64(offset))
	if _, err := s.mark.WriteAt(stored[:], 0); err != nil {
		return fmt.Errorf("write spool offset: %w", err)
	}
	s.offset = offset
	return s.punch()
}

// punch gives the kept head of the spool back to the disk. The file keeps its size and its writer notices nothing.
func (s *spool) punch() error {
	end := s.offset &^ (blockBytes - 1)
	if end-s.punched < punchStep {
		return nil
	}
	err := unix.Fallocate(int(s.file.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, s.punched, end-s.punched)
	if err != nil {
		return fmt.Errorf("trim spool: %w", err)
	}
	s.punched = end
	return nil
}

func (s *spool) close() error {
	var problems []error
	for _, file := range []**os.File{&s.file, &s.mark} {
		if *file != nil {
			problems = append(problems, (*file).Close())
			*file = nil
		}
	}
	return errors.Join(problems...)
}
