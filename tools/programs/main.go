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
	err := build(ctx)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "error: build the programs of the control plane: %v\n", err)
		os.Exit(1)
	}
}

func build(ctx context.Context) error {
	if _, err := cluster.Binaries(ctx, os.Stdout); err != nil {
		return err
	}
	if _, err := cluster.CertManagerBinaries(ctx, os.Stdout); err != nil {
		return err
	}
	for _, major := range []string{"4", "3"} {
		if _, err := cluster.Helm(ctx, major, os.Stdout); err != nil {
			return err
		}
	}
	return nil
}
