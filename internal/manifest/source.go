package manifest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// extensions are the endings of the files that are read in folders; kubectl reads the same.
var extensions = []string{".json", ".yaml", ".yml"}

// path reads a file or a folder.
func (b *Batch) path(path string, recursive bool) {
	if strings.Contains(path, "://") {
		b.problem(path, 0, "is a URL: download it, or pipe it into -f -")
		return
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		b.problem(path, 0, reason(err))
	case info.IsDir():
		b.folder(path, recursive)
	default:
		b.file(path)
	}
}

// folder reads the manifests in a folder. It passes by what is no regular file: reading a pipe
// or a device might never end.
func (b *Batch) folder(root string, recursive bool) {
	found := 0
	problems := len(b.Problems)
	// The function passed to WalkDir returns no error but SkipDir, so WalkDir returns none.
	_ = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			b.problem(path, 0, reason(err))
		case entry.IsDir():
			if path != root && !recursive {
				return fs.SkipDir
			}
		case slices.Contains(extensions, strings.ToLower(filepath.Ext(path))):
			if info, err := os.Stat(path); err != nil {
				b.problem(path, 0, reason(err))
			} else if info.Mode().IsRegular() {
				found++
				b.file(path)
			}
		}
		return nil
	})
	if found == 0 && len(b.Problems) == problems {
		text := "holds no *.yaml, *.yml or *.json"
		if !recursive {
			text += " (folders below it are read with -R)"
		}
		b.problem(root, 0, text)
	}
}

func (b *Batch) file(path string) {
	file, err := os.Open(path)
	if err != nil {
		b.problem(path, 0, reason(err))
		return
	}
	defer func() { _ = file.Close() }() // Nothing was written, so nothing can be lost.
	b.read(path, file)
}

// read reads one source up to its limit.
func (b *Batch) read(source string, r io.Reader) {
	if r == nil {
		b.problem(source, 0, "is not there")
		return
	}
	data, err := io.ReadAll(io.LimitReader(r, largestSource+1))
	switch {
	case err != nil:
		b.problem(source, 0, reason(err))
	case len(data) > largestSource:
		b.problem(source, 0, fmt.Sprintf("is larger than %d MiB", largestSource>>20))
	default:
		b.parse(source, data)
	}
}

// reason is an error's text without the operation and the path, which the problem names already.
func reason(err error) string {
	if pathError := (*fs.PathError)(nil); errors.As(err, &pathError) {
		return pathError.Err.Error()
	}
	return err.Error()
}
