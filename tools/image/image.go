package main

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	kobuild "github.com/google/ko/pkg/build"
	"github.com/sigstore/cosign/v3/pkg/oci"
	ctypes "github.com/sigstore/cosign/v3/pkg/types"
)

const (
	// command is the package of the program in the image.
	command = "plainspec.dev/plainspec/cmd/webhook"
	// user and group are by number, so that a kubelet can see that they are not root's.
	user = "65532:65532"
)

// platforms are those that the image is built for.
var platforms = []string{"linux/amd64", "linux/arm64"}

// build returns the image for all platforms. The same source gives the same digest: times are the commit's, and no path
// of this machine is in the programs.
func build(ctx context.Context, root string, s source) (oci.SignedImageIndex, error) {
	base, err := baseIndex()
	if err != nil {
		return nil, fmt.Errorf("make base image: %w", err)
	}
	options := []kobuild.Option{
		kobuild.WithBaseImages(func(context.Context, string) (name.Reference, kobuild.Result, error) {
			return name.MustParseReference("plainspec.dev/base:1"), base, nil
		}),
		kobuild.WithPlatforms(platforms...),
		kobuild.WithTrimpath(true),
		kobuild.WithDefaultEnv([]string{"CGO_ENABLED=0"}), // whatever the caller's is
		kobuild.WithDefaultFlags([]string{"-buildvcs=auto"}),
		kobuild.WithDefaultLdflags([]string{"-s", "-w"}), // no debugger reaches into an image without a shell
		kobuild.WithCreationTime(v1.Time{Time: s.time}),
		kobuild.WithKoDataCreationTime(v1.Time{Time: s.time}),
		kobuild.WithSPDX(koVersion()),
	}
	for key, value := range s.annotations() {
		options = append(options, kobuild.WithAnnotation(key, value), kobuild.WithLabel(key, value))
	}
	builder, err := kobuild.NewGo(ctx, root, options...)
	if err != nil {
		return nil, fmt.Errorf("prepare build: %w", err)
	}
	result, err := builder.Build(ctx, kobuild.StrictScheme+command)
	if err != nil {
		return nil, fmt.Errorf("build image: %w", err)
	}
	index, ok := result.(oci.SignedImageIndex)
	if !ok {
		return nil, fmt.Errorf("build image: got a %T, want one image for each of %q", result, platforms)
	}
	return index, nil
}

// koVersion is the version of ko, which the bill of materials names as its author.
func koVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range info.Deps {
			if module.Path == "github.com/google/ko" {
				return module.Version
			}
		}
	}
	return "unknown"
}

// baseIndex is what lies below the program on each platform: the names of the user and the group, and nothing that runs.
func baseIndex() (v1.ImageIndex, error) {
	layer, err := baseLayer()
	if err != nil {
		return nil, err
	}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, text := range platforms {
		platform, err := v1.ParsePlatform(text)
		if err != nil {
			return nil, err
		}
		image, err := mutate.ConfigFile(mutate.MediaType(empty.Image, types.OCIManifestSchema1), &v1.ConfigFile{
			OS: platform.OS, Architecture: platform.Architecture, RootFS: v1.RootFS{Type: "layers"},
			Config: v1.Config{User: user, WorkingDir: "/"},
		})
		if err != nil {
			return nil, err
		}
		image = mutate.ConfigMediaType(image, types.OCIConfigJSON)
		image, err = mutate.Append(image, mutate.Addendum{Layer: layer, History: v1.History{CreatedBy: "plainspec", Comment: "user and group"}})
		if err != nil {
			return nil, err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: platform}})
	}
	return index, nil
}

// baseLayer gives user and group a name, for what shows processes and files.
func baseLayer() (v1.Layer, error) {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, file := range []struct{ name, text string }{
		{"etc/group", "nonroot:x:65532:\n"},
		{"etc/passwd", "nonroot:x:65532:65532:nonroot:/:/sbin/nologin\n"},
	} {
		if err := w.WriteHeader(&tar.Header{Name: file.name, Mode: 0o444, Size: int64(len(file.text)), Typeflag: tar.TypeReg}); err != nil {
			return nil, err
		}
		if _, err := io.WriteString(w, file.text); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(archive.Bytes())), nil
	}, tarball.WithMediaType(types.OCILayer))
}

// write makes a layout of the image, under its tag, and of the bills of materials (SPDX), which refer to what they
// describe. What was in the folder goes once all is written.
func write(index oci.SignedImageIndex, tag, folder string) error {
	if err := os.MkdirAll(filepath.Dir(folder), 0o755); err != nil {
		return err
	}
	written, err := os.MkdirTemp(filepath.Dir(folder), ".image-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(written) }() // what is left of an attempt
	path, err := layout.Write(written, empty.Index)
	if err != nil {
		return err
	}
	if err := path.AppendIndex(index, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": tag})); err != nil {
		return err
	}
	if err := writeBills(path, index); err != nil {
		return err
	}
	if err := os.RemoveAll(folder); err != nil {
		return err
	}
	if err := os.Chmod(written, 0o755); err != nil { // others may push it
		return err
	}
	return os.Rename(written, folder)
}

// writeBills adds the bills of materials of the image and of each platform's.
func writeBills(path layout.Path, index oci.SignedImageIndex) error {
	manifest, err := index.IndexManifest()
	if err != nil {
		return err
	}
	described := []oci.SignedEntity{index}
	for i := range manifest.Manifests {
		image, err := index.SignedImage(manifest.Manifests[i].Digest)
		if err != nil {
			return err
		}
		described = append(described, image)
	}
	for _, entity := range described {
		bill, err := entity.Attachment("sbom")
		if err != nil {
			return fmt.Errorf("find the bill of materials: %w", err)
		}
		subject, err := partial.Descriptor(entity.(partial.Describable)) //nolint:forcetypeassert // images and indexes are
		if err != nil {
			return err
		}
		// What has no artifact type of its own is of its configuration's.
		refers, ok := mutate.Subject(mutate.ConfigMediaType(bill, ctypes.SPDXJSONMediaType), *subject).(v1.Image)
		if !ok {
			return fmt.Errorf("refer to %s: no image", subject.Digest)
		}
		if err := path.AppendImage(refers); err != nil {
			return err
		}
	}
	return nil
}
