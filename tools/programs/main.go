// Command programs builds the programs of a real control plane into the user's cache, where the
// tests and the local cluster find them. "make test" runs it first, because go test shows nothing
// of the ten minutes that the first build on a machine takes.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"plainspec.dev/plainspec/test/cluster"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	_, err := cluster.Binaries(ctx, os.Stdout)
	if err == nil {
		_, err = cluster.CertManagerBinaries(ctx, os.Stdout)
	}
	if err == nil {
		_, err = cluster.Helm(ctx, os.Stdout)
	}
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "error: build the programs of the control plane: %v\n", err)
		os.Exit(1)
	}
}
