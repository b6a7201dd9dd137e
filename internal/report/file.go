package report

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// WriteFile writes a file that only its owner may read, whoever may read the one that it replaces. It is there as a whole
// or not at all; a link is replaced, not followed. What is no file, such as /dev/stdout, is written to as it is.
func WriteFile(path string, content []byte) error {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return os.WriteFile(path, content, 0o600)
	}
	dir, name := filepath.Split(path)
	dir = filepath.Clean(dir)
	file, err := os.CreateTemp(dir, "."+name+".*") // its mode is 0600
	if err != nil {
		if failed := new(fs.PathError); errors.As(err, &failed) {
			err = failed.Err // without the name, which nobody has chosen
		}
		return fmt.Errorf("create a file in %s: %w", dir, err)
	}
	_, err = file.Write(content)
	if err = errors.Join(err, file.Sync(), file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}
