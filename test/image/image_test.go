// Package image builds the server's image as it is shipped, and looks at what is in it.
package image

import (
	"archive/tar"
	"bufio"
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"debug/elf"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"plainspec.dev/plainspec/certs"
)

const (
	root    = "../.."
	program = "/ko-app/webhook"
	prefix  = "org.opencontainers.image."
)

// built is a layout, and what its index says of the image.
type built struct {
	folder string
	index  v1.ImageIndex
	tag    string
	bills  []v1.Descriptor // in the order of the index
}

// build runs the tool as `make image` does.
func build(t *testing.T) built {
	t.Helper()
	b := built{folder: filepath.Join(t.TempDir(), "deeper", "image")}
	tool := exec.CommandContext(t.Context(), "go", "run", "-C", filepath.Join(root, "tools", "image"), ".", "--root", root, "--output", b.folder)
	if out, err := tool.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	all, err := layout.ImageIndexFromPath(b.folder)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := all.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	for _, descriptor := range manifest.Manifests {
		if tag := descriptor.Annotations[prefix+"ref.name"]; tag == "" {
			b.bills = append(b.bills, descriptor)
		} else if b.index, err = all.ImageIndex(descriptor.Digest); err != nil || b.tag != "" {
			t.Fatalf("a second image %q besides %q, or none: %v", tag, b.tag, err)
		} else {
			b.tag = tag
		}
	}
	if b.index == nil {
		t.Fatalf("no image in %v", manifest)
	}
	return b
}

// images returns the image of each platform.
func (b *built) images(t *testing.T) map[string]v1.Image {
	t.Helper()
	manifest, err := b.index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]v1.Image)
	for _, descriptor := range manifest.Manifests {
		if found[descriptor.Platform.String()], err = b.index.Image(descriptor.Digest); err != nil {
			t.Fatal(err)
		}
	}
	return found
}

// files returns the content of each file of an image by its path; a folder ends with a slash.
func files(t *testing.T, image v1.Image) map[string][]byte {
	t.Helper()
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string][]byte)
	for _, layer := range layers {
		content, err := layer.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = content.Close() }()
		for reader := tar.NewReader(content); ; {
			header, err := reader.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if header.Mode&0o7222 != 0 || header.Uid != 0 {
				t.Errorf("%s has mode %o and owner %d, want root's and read-only", header.Name, header.Mode, header.Uid)
			}
			name := "/" + strings.TrimPrefix(header.Name, "/")
			if header.Typeflag == tar.TypeDir {
				name += "/"
			}
			if found[name], err = io.ReadAll(reader); err != nil {
				t.Fatal(err)
			}
		}
	}
	return found
}

// sums returns the hash of each file of a folder.
func sums(t *testing.T, folder string) map[string]string {
	t.Helper()
	found := make(map[string]string)
	err := fs.WalkDir(os.DirFS(folder), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(filepath.Join(folder, name))
		sum := sha256.Sum256(content)
		found[name] = hex.EncodeToString(sum[:])
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestImage(t *testing.T) {
	t.Parallel()
	b := build(t)
	if err := validate.Index(b.index); err != nil {
		t.Errorf("the layout is damaged: %v", err)
	}
	images := b.images(t)
	if len(images) != 2 || images["linux/amd64"] == nil || images["linux/arm64"] == nil {
		t.Fatalf("images for %v, want linux/amd64 and linux/arm64", images)
	}
	machines := map[string]elf.Machine{"linux/amd64": elf.EM_X86_64, "linux/arm64": elf.EM_AARCH64}
	for platform, image := range images {
		content := files(t, image)
		var names []string
		for name := range content {
			names = append(names, name)
		}
		slices.Sort(names)
		want := []string{"/etc/group", "/etc/passwd", "/ko-app/", program, "/var/", "/var/run/", "/var/run/ko/"}
		if diff := cmp.Diff(want, names); diff != "" {
			t.Errorf("%s: files (-want +got):\n%s", platform, diff)
		}
		if got, want := string(content["/etc/passwd"]), "nonroot:x:65532:65532:nonroot:/:/sbin/nologin\n"; got != want {
			t.Errorf("%s: /etc/passwd = %q, want %q", platform, got, want)
		}
		checkProgram(t, platform, content[program], machines[platform])
		checkConfig(t, platform, image, content[program], b.tag)
	}
	checkBills(t, &b)
	t.Run("the program runs", func(t *testing.T) {
		t.Parallel()
		image := images["linux/"+runtime.GOARCH]
		if image == nil || runtime.GOOS != "linux" {
			t.Skipf("no image for %s/%s", runtime.GOOS, runtime.GOARCH)
		}
		run(t, files(t, image)[program])
	})
	t.Run("another build gives the same bytes", func(t *testing.T) {
		t.Parallel()
		again := build(t)
		if diff := cmp.Diff(sums(t, b.folder), sums(t, again.folder)); diff != "" {
			t.Errorf("files of the layout (-first +second):\n%s", diff)
		}
	})
}

// checkProgram holds that a program needs nothing but a kernel: the image has no library.
func checkProgram(t *testing.T, platform string, program []byte, want elf.Machine) {
	t.Helper()
	file, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		t.Fatalf("%s: %v", platform, err)
	}
	if file.Machine != want {
		t.Errorf("%s: the program is for %s, want %s", platform, file.Machine, want)
	}
	if slices.ContainsFunc(file.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
		t.Errorf("%s: the program is linked dynamically", platform)
	}
}

// checkConfig holds what a kubelet and people read of an image.
func checkConfig(t *testing.T, platform string, image v1.Image, program []byte, tag string) {
	t.Helper()
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.Config.User != "65532:65532" {
		t.Errorf("%s: user = %q, want 65532:65532", platform, config.Config.User)
	}
	if diff := cmp.Diff([]string{"/ko-app/webhook"}, config.Config.Entrypoint); diff != "" || len(config.Config.Cmd) > 0 {
		t.Errorf("%s: command %q, entrypoint (-want +got):\n%s", platform, config.Config.Cmd, diff)
	}
	info, err := buildinfo.Read(bytes.NewReader(program))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		prefix + "title":       "Plainspec webhook",
		prefix + "description": "The Plainspec admission webhook: every Pod spec says what it runs.",
		prefix + "licenses":    "Apache-2.0",
		prefix + "source":      "https://plainspec.dev/plainspec",
		prefix + "version":     info.Main.Version,
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			want[prefix+"revision"] = setting.Value
		}
	}
	if diff := cmp.Diff(want, config.Config.Labels); diff != "" {
		t.Errorf("%s: labels (-want +got):\n%s", platform, diff)
	}
	manifest, err := image.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	for key, value := range want {
		if manifest.Annotations[key] != value {
			t.Errorf("%s: annotation %s = %q, want %q", platform, key, manifest.Annotations[key], value)
		}
	}
	if strings.ContainsAny(tag, "+()") || !strings.Contains(info.Main.Version, strings.SplitN(tag, "-", 2)[0]) {
		t.Errorf("%s: tag %q for version %q", platform, tag, info.Main.Version)
	}
}

// checkBills holds that the index and each image have a bill of materials that lists what is linked.
func checkBills(t *testing.T, b *built) {
	t.Helper()
	manifest, err := b.index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	digest, err := b.index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	described := map[string]bool{digest.String(): false}
	for _, descriptor := range manifest.Manifests {
		described[descriptor.Digest.String()] = true
	}
	all, err := layout.ImageIndexFromPath(b.folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, descriptor := range b.bills {
		image, err := all.Image(descriptor.Digest)
		if err != nil {
			t.Fatal(err)
		}
		manifest, err := image.Manifest()
		if err != nil {
			t.Fatal(err)
		}
		blob, err := os.ReadFile(filepath.Join(b.folder, "blobs", "sha256", manifest.Layers[0].Digest.Hex))
		if err != nil {
			t.Fatal(err)
		}
		var bill struct {
			SPDXVersion string
			Packages    []struct{ Name string }
		}
		if err := json.Unmarshal(blob, &bill); err != nil || bill.SPDXVersion == "" {
			t.Errorf("bill of materials of %s: %v: %.100s", manifest.Subject.Digest, err, blob)
		}
		listed := slices.ContainsFunc(bill.Packages, func(p struct{ Name string }) bool { return p.Name == "github.com/open-policy-agent/opa" })
		if wanted, known := described[manifest.Subject.Digest.String()]; !known || wanted != listed {
			t.Errorf("the bill of materials of %s (known: %t) lists what is linked: %t, want %t", manifest.Subject.Digest, known, listed, wanted)
		}
		delete(described, manifest.Subject.Digest.String())
	}
	if len(described) > 0 {
		t.Errorf("no bill of materials for %v", described)
	}
}

// run starts the program of the image as a kubelet would: as it is, with nothing around it.
func run(t *testing.T, program []byte) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "webhook")
	if err := os.WriteFile(path, program, 0o500); err != nil {
		t.Fatal(err)
	}
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	version, err := exec.CommandContext(t.Context(), path, "--version").CombinedOutput()
	if want := "webhook version " + info.Main.Version + "\n"; err != nil || string(version) != want {
		t.Errorf("--version = %q, %v, want %q", version, err, want)
	}
	help, err := exec.CommandContext(t.Context(), path, "--help").CombinedOutput()
	if err != nil || !strings.HasPrefix(string(help), "Serve the Plainspec admission webhook\n") {
		t.Errorf("--help: %v: %s", err, help)
	}
	if _, err := certs.WriteLocal(dir, certs.LocalOptions{Hosts: []string{"127.0.0.1"}}); err != nil {
		t.Fatal(err)
	}
	server := exec.CommandContext(t.Context(), path, "--certificate-dir="+dir, "--bind-address=127.0.0.1:0",
		"--metrics-bind-address=0", "--health-probe-bind-address=0", "--drain-period=0")
	server.Env = []string{} // an image has no environment but its own
	output, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	lines, serves := bufio.NewScanner(output), false
	for lines.Scan() {
		if strings.Contains(lines.Text(), `"msg":"serving"`) && !serves {
			serves = true
			if err := server.Process.Signal(syscall.SIGTERM); err != nil {
				t.Error(err)
			}
		}
	}
	if err := server.Wait(); err != nil || !serves {
		t.Errorf("serves: %t, ends with %v", serves, err)
	}
}
