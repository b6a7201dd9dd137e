package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	auditv1alpha1 "plainspec.dev/plainspec/api/audit/v1alpha1"
)

// Log is the sink that writes records as lines of JSON, one record in each.
//
// A line tells what has been tried since the line before it of the same name: count is how many tries came from firstTime
// to lastTime, so that the lines of all replicas are summed by metadata.name. A line is there once, whole, or not at all.
type Log struct {
	out io.Writer
	// file is out if it is a file of the Log's own, and path where others find it.
	file *os.File
	path string
	// torn says that out ends in a part of a line.
	torn bool
}

// NewLog returns a Log that writes to w, each line with one call.
func NewLog(w io.Writer) *Log { return &Log{out: w} }

// OpenLog returns a Log that appends to a file, which it makes if need be. Whoever rotates it renames or removes it: the
// next line then goes to a new file of the old name. Copying and truncating works, too.
func OpenLog(path string) (*Log, error) {
	l := &Log{path: path}
	if err := l.open(); err != nil {
		return nil, err
	}
	return l, nil
}

// Name implements Sink.
func (*Log) Name() string { return "log" }

// Write implements Sink. What is written to a file or a pipe cannot be ended by ctx.
func (l *Log) Write(_ context.Context, record *auditv1alpha1.Rejection) error {
	line := *record
	line.SetGroupVersionKind(auditv1alpha1.GroupVersion.WithKind(auditv1alpha1.KindRejection))
	text, err := json.Marshal(&line)
	if err != nil {
		return fmt.Errorf("encode record %q: %w: %w", record.Name, ErrRefused, err)
	}
	if err := l.reopen(); err != nil {
		return err
	}
	return l.append(append(text, '\n'))
}

// append writes a line, or nothing.
func (l *Log) append(line []byte) error {
	if l.torn {
		line = append([]byte{'\n'}, line...)
	}
	n, err := l.out.Write(line)
	if err == nil {
		l.torn = false
		return nil
	}
	err = fmt.Errorf("write record: %w", err)
	if n == 0 {
		return err
	}
	// The disk has become full within the line.
	if l.file == nil {
		l.torn = true // of a pipe nothing can be taken back
		return err
	}
	if takeBackErr := l.takeBack(int64(n)); takeBackErr != nil {
		l.torn = true
		return errors.Join(err, takeBackErr)
	}
	return err
}

// takeBack removes the last n bytes of the file.
func (l *Log) takeBack(n int64) error {
	info, err := l.file.Stat()
	if err != nil {
		return fmt.Errorf("remove part of a record: %w", err)
	}
	if err := l.file.Truncate(max(0, info.Size()-n)); err != nil {
		return fmt.Errorf("remove part of a record: %w", err)
	}
	return nil
}

// open opens the file, anew if it is open.
func (l *Log) open() error {
	file, err := os.OpenFile(l.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open audit log: %w", err)
	}
	if l.file != nil {
		_ = l.file.Close() // it has been renamed, and all that was written to it is in it
	}
	l.file, l.out, l.torn = file, file, false
	return nil
}

// reopen opens the file anew if its path leads to another one, or to none.
func (l *Log) reopen() error {
	if l.file == nil {
		return nil
	}
	found, err := os.Stat(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		return l.open()
	}
	if err != nil {
		return fmt.Errorf("open audit log: %w", err)
	}
	if mine, err := l.file.Stat(); err == nil && os.SameFile(mine, found) {
		return nil
	}
	return l.open()
}
