package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	auditv1alpha1 "plainspec.dev/plainspec/api/audit/v1alpha1"
)

// record is a record of some tries.
func record(name string, count int64) *auditv1alpha1.Rejection {
	return &auditv1alpha1.Rejection{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{auditv1alpha1.NamespaceLabel: "shop"}},
		Outcome:    auditv1alpha1.OutcomeDenied, Operation: "CREATE", User: "alice",
		Root:  auditv1alpha1.Root{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "web", Text: "Deployment shop/web"},
		Rules: []string{"image.no_version"}, Count: count, PolicyRevision: "0123456789ab",
		FirstTime: metav1.NewTime(time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)), LastTime: metav1.NewTime(time.Date(2026, 3, 1, 9, 0, 40, 0, time.UTC)),
		Findings: []auditv1alpha1.Finding{{Code: "image.no_version", Severity: "high", Container: "web", Field: "spec.template.spec.containers[0].image", Value: "nginx", Message: "says no version", Fix: "name a tag"}},
		Manifest: auditv1alpha1.Manifest{Containers: []auditv1alpha1.Container{{Name: "web", Role: "main", Image: "nginx"}}},
	}
}

// lines reads the names and counts of a log's records, and fails if a line is none, unless it is in except.
func lines(t *testing.T, text string, except ...string) (records []string) {
	t.Helper()
	for line := range strings.Lines(text) {
		var r auditv1alpha1.Rejection
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			if len(except) > 0 && strings.HasPrefix(line, except[0]) {
				continue
			}
			t.Fatalf("line %q: %v", line, err)
		}
		records = append(records, r.Name)
	}
	return records
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestALineHoldsARecord(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	given := record("abc", 3)
	if err := NewLog(&out).Write(t.Context(), given); err != nil {
		t.Fatal(err)
	}
	want := `{"kind":"Rejection","apiVersion":"audit.plainspec.dev/v1alpha1","metadata":{"name":"abc","labels":{"audit.plainspec.dev/namespace":"shop"}},` +
		`"outcome":"Denied","operation":"CREATE","user":"alice","root":{"group":"apps","kind":"Deployment","namespace":"shop","name":"web","text":"Deployment shop/web"},` +
		`"rules":["image.no_version"],"firstTime":"2026-03-01T09:00:00Z","lastTime":"2026-03-01T09:00:40Z","count":3,` +
		`"findings":[{"code":"image.no_version","severity":"high","container":"web","field":"spec.template.spec.containers[0].image","value":"nginx","message":"says no version","fix":"name a tag"}],` +
		`"policyRevision":"0123456789ab","manifest":{"containers":[{"name":"web","role":"main","image":"nginx"}]}}` + "\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("line (-want +got):\n%s", diff)
	}
	if given.Kind != "" {
		t.Error("the record of others was changed")
	}
}

func TestALogIsAppendedTo(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit.log")
	for _, name := range []string{"a", "b"} {
		log, err := OpenLog(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := log.Write(t.Context(), record(name, 1)); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"a", "b"}, lines(t, read(t, path))); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("others may read the log: %v, %v", info, err)
	}
}

func TestALogMayBeRotated(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		rotate  func(path string) error
		wantOld []string
		wantNew []string
	}{
		"renamed":              {rotate: func(path string) error { return os.Rename(path, path+".1") }, wantOld: []string{"a"}, wantNew: []string{"b", "c"}},
		"removed":              {rotate: os.Remove, wantNew: []string{"b", "c"}},
		"copied and truncated": {rotate: func(path string) error { return os.Truncate(path, 0) }, wantNew: []string{"b", "c"}},
		"renamed, and another made": {rotate: func(path string) error {
			return errors.Join(os.Rename(path, path+".1"), os.WriteFile(path, nil, 0o600))
		}, wantOld: []string{"a"}, wantNew: []string{"b", "c"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "audit.log")
			log, err := OpenLog(path)
			if err != nil {
				t.Fatal(err)
			}
			write := func(name string) {
				if err := log.Write(t.Context(), record(name, 1)); err != nil {
					t.Fatal(err)
				}
			}
			write("a")
			if err := tc.rotate(path); err != nil {
				t.Fatal(err)
			}
			write("b")
			write("c")
			if diff := cmp.Diff(tc.wantNew, lines(t, read(t, path))); diff != "" {
				t.Errorf("records in the new file (-want +got):\n%s", diff)
			}
			if tc.wantOld != nil {
				if diff := cmp.Diff(tc.wantOld, lines(t, read(t, path+".1"))); diff != "" {
					t.Errorf("records in the old file (-want +got):\n%s", diff)
				}
			}
		})
	}
}

// full is a disk with room for some bytes.
type full struct {
	out  io.Writer
	room int
}

func (f *full) Write(p []byte) (int, error) {
	n, err := f.out.Write(p[:min(len(p), f.room)])
	f.room -= n
	if err == nil && n < len(p) {
		err = syscall.ENOSPC
	}
	return n, err
}

func TestAFullDiskTearsNoLine(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit.log")
	log, err := OpenLog(path)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string) error { return log.Write(t.Context(), record(name, 1)) }
	if err := write("a"); err != nil {
		t.Fatal(err)
	}
	disk := &full{out: log.file, room: 100}
	log.out = disk
	for range 3 {
		if err := write("b"); !errors.Is(err, syscall.ENOSPC) || errors.Is(err, ErrRefused) {
			t.Fatalf("Write() error = %v, want %v", err, syscall.ENOSPC)
		}
		if diff := cmp.Diff([]string{"a"}, lines(t, read(t, path))); diff != "" {
			t.Errorf("records while the disk is full (-want +got):\n%s", diff)
		}
		disk.room = 100
	}
	disk.room = 1 << 20
	if err := errors.Join(write("b"), write("c")); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "b", "c"}, lines(t, read(t, path))); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}

func TestAfterATornLineInAPipeTheNextOneIsWhole(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	pipe := &full{out: &out, room: 100}
	log := NewLog(pipe)
	if err := log.Write(t.Context(), record("a", 1)); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("Write() error = %v", err)
	}
	pipe.room = 1 << 20
	for _, name := range []string{"a", "b"} {
		if err := log.Write(t.Context(), record(name, 1)); err != nil {
			t.Fatal(err)
		}
	}
	const torn = `{"kind":"Rejection","apiVersion":"audit.plainspec.dev/v1alpha1","metadata":{"name":"a","labels":{"au` + "\n"
	if diff := cmp.Diff([]string{"a", "b"}, lines(t, out.String(), torn)); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}

func TestAFileThatCannotBeOpened(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "missing", "audit.log")
	_, err := OpenLog(path)
	if want := "open audit log: open " + path + ": no such file or directory"; err == nil || err.Error() != want {
		t.Errorf("OpenLog() error = %v, want %s", err, want)
	}
	log, err := OpenLog(filepath.Join(t.TempDir(), "audit.log"))
	if err != nil {
		t.Fatal(err)
	}
	// Its folder goes while the server runs, and comes back.
	if err := os.RemoveAll(filepath.Dir(log.path)); err != nil {
		t.Fatal(err)
	}
	if err := log.Write(t.Context(), record("a", 1)); err == nil || errors.Is(err, ErrRefused) {
		t.Errorf("Write() error = %v, want one that is tried again", err)
	}
	if err := os.Mkdir(filepath.Dir(log.path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := log.Write(t.Context(), record("a", 1)); err != nil {
		t.Error(err)
	}
}
