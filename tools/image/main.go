// Command image builds the server's image with ko and writes it as an OCI layout. It needs no daemon, no registry and no
// base image from one: the base is made here.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

func main() {
	root := flag.String("root", ".", "`folder` of the module")
	output := flag.String("output", "bin/image", "`folder` of the layout, below root unless it is absolute; replaced if it exists")
	flag.Parse()
	log.SetOutput(io.Discard) // through it, ko lists what git says of the tree, once for each platform
	if err := run(*root, *output); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// run builds the image of the module in root, and prints what to do with it.
func run(root, output string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root, err := filepath.Abs(root)
	if err != nil {
		return fmt.Errorf("find module: %w", err)
	}
	if !filepath.IsAbs(output) {
		output = filepath.Join(root, output)
	}
	source, err := describe(ctx, root)
	if err != nil {
		return err
	}
	fmt.Printf("build webhook %s for %s\n", source.version, strings.Join(platforms, " and "))
	index, err := build(ctx, root, source)
	if err != nil {
		return err
	}
	if err := write(index, source.tag(), output); err != nil {
		return fmt.Errorf("write %s: %w", output, err)
	}
	digest, err := index.Digest()
	if err != nil {
		return err
	}
	if shown, err := filepath.Rel(root, output); err == nil && filepath.IsLocal(shown) {
		output = shown
	}
	fmt.Printf(`%[1]s holds %[3]s
To push it:             skopeo copy --all oci:%[1]s:%[2]s docker://REGISTRY/webhook:%[2]s
To load it into a node: tar -C %[1]s -c . | ctr -n k8s.io images import --base-name plainspec.dev/webhook -
To install it, put this into the chart's values:

image:
  repository: REGISTRY/webhook
  tag: %[2]s
  digest: %[3]s
`, output, source.tag(), digest)
	return nil
}
