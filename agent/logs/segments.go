package logs

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// segments is a bounded series of files: path is the newest, path.1 the one before it. It has one writer.
type segments struct {
	path  string
	limit int64
	keep  int
	file  *os.File
	size  int64
}

// write appends whole lines, in a new segment when they would not fit.
func (s *segments) write(lines []byte) error {
	if err := s.open(); err != nil {
		return err
	}
	if s.size > 0 && s.size+int64(len(lines)) > s.limit {
		if err := s.rotate(); err != nil {
			return err
		}
	}
	n, err := s.file.Write(lines)
	if err != nil {
		return errors.Join(fmt.Errorf("write log segment: %w", err), s.undo(n))
	}
	s.size += int64(n)
	return nil
}

// undo drops a half-written batch, which will be written again from the spool.
func (s *segments) undo(written int) error {
	if written == 0 {
		return nil
	}
	return s.file.Truncate(s.size)
}

func (s *segments) open() error {
	if s.file != nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(s.path), 0o700); err != nil {
		return fmt.Errorf("make log folder: %w", err)
	}
	file, err := os.OpenFile(s.path, os.O_RDWR|os.O_CREATE|os.O_APPEND|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return fmt.Errorf("open log segment: %w", err)
	}
	size, err := endLine(file)
	if err != nil {
		return errors.Join(err, file.Close())
	}
	s.file, s.size = file, size
	return nil
}

// endLine closes a line that a crash left without its end, and returns the size.
func endLine(file *os.File) (int64, error) {
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil || size == 0 {
		return size, err
	}
	var last [1]byte
	if _, err := file.ReadAt(last[:], size-1); err != nil {
		return 0, fmt.Errorf("read log segment: %w", err)
	}
	if last[0] == '\n' {
		return size, nil
	}
	if _, err := file.Write([]byte{'\n'}); err != nil {
		return 0, fmt.Errorf("write log segment: %w", err)
	}
	return size + 1, nil
}

func (s *segments) rotate() error {
	if err := s.close(); err != nil {
		return err
	}
	for age := s.keep - 1; age > 0; age-- {
		err := os.Rename(s.name(age-1), s.name(age))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("rotate log segments: %w", err)
		}
	}
	return s.open()
}

func (s *segments) close() error {
	if s.file == nil {
		return nil
	}
	file := s.file
	s.file, s.size = nil, 0
	return file.Close()
}

func (s *segments) name(age int) string {
	if age == 0 {
		return s.path
	}
	return s.path + "." + strconv.Itoa(age)
}

// remove deletes all segments, and their folder when nothing else is in it.
func (s *segments) remove() error {
	var problems []error
	for age := range s.keep {
		if err := os.Remove(s.name(age)); err != nil && !errors.Is(err, os.ErrNotExist) {
			problems = append(problems, fmt.Errorf("remove log segment: %w", err))
		}
	}
	err := os.Remove(filepath.Dir(s.path))
	if err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, syscall.ENOTEMPTY) {
		problems = append(problems, fmt.Errorf("remove log folder: %w", err))
	}
	return errors.Join(problems...)
}

// openAll opens what there is, oldest first.
func (s *segments) openAll() ([]*os.File, error) {
	var files []*os.File
	for age := s.keep - 1; age >= 0; age-- {
		file, err := os.OpenFile(s.name(age), os.O_RDONLY|syscall.O_NOFOLLOW, 0)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			closeFiles(files)
			return nil, fmt.Errorf("open log segment: %w", err)
		}
		files = append(files, file)
	}
	return files, nil
}

// closeFiles closes files that were only read: nothing can be lost.
func closeFiles(files []*os.File) {
	for _, file := range files {
		_ = file.Close()
	}
}
