package report

import (
	"io"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

func TestWriteFile(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		old, link string // a file that all may read, and a link to it
		wantOld   string // what that file holds afterwards
	}{
		"the file is new":          {"", "", ""},
		"all may read the old one": {"page.html", "", "new"},
		"a link stands there":      {"old.html", "page.html", "old"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if tc.old != "" {
				put(t, filepath.Join(dir, tc.old))
			}
			if tc.link != "" {
				if err := os.Symlink(tc.old, filepath.Join(dir, tc.link)); err != nil {
					t.Fatal(err)
				}
			}
			path := filepath.Join(dir, "page.html")
			if err := WriteFile(path, []byte("new")); err != nil {
				t.Fatal(err)
			}
			info, err := os.Lstat(path)
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode() != 0o600 {
				t.Errorf("the file's mode is %s, want one that only its owner reads and writes", info.Mode())
			}
			if text, err := os.ReadFile(path); err != nil || string(text) != "new" {
				t.Errorf("the file holds %q (%v), want %q", text, err, "new")
			}
			if text, _ := os.ReadFile(filepath.Join(dir, tc.old)); string(text) != tc.wantOld {
				t.Errorf("the old file holds %q, want %q", text, tc.wantOld)
			}
			if left, err := filepath.Glob(filepath.Join(dir, ".page.html*")); err != nil || len(left) > 0 {
				t.Errorf("%v is left behind (%v)", left, err)
			}
		})
	}
}

func put(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil { // whatever the umask is
		t.Fatal(err)
	}
}

// TestWriteFileToADevice holds that what is no file, such as /dev/stdout, is written to and not replaced.
func TestWriteFileToADevice(t *testing.T) {
	t.Parallel()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	path := filepath.Join(t.TempDir(), "stdout")
	if err := os.Symlink(filepath.Join("/proc/self/fd", strconv.Itoa(int(writer.Fd()))), path); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(path, []byte("new")); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(reader); err != nil || string(text) != "new" {
		t.Errorf("the pipe has %q (%v), want %q", text, err, "new")
	}
	if info, err := os.Lstat(path); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link has become %s (%v)", info.Mode(), err)
	}
}

func TestWriteFileSaysWhere(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"/nowhere/page.html": "create a file in /nowhere: no such file or directory",
		"/proc":              "open /proc: is a directory",
	} {
		if err := WriteFile(path, nil); err == nil || err.Error() != want {
			t.Errorf("got error %v, want %s", err, want)
		}
	}
}
