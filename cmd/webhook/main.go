// Command webhook is the Plainspec server: a validating admission webhook that refuses workloads which do not say what
// they run.
package main

import (
	"fmt"
	"os"

	"sigs.k8s.io/controller-runtime/pkg/manager/signals"

	"plainspec.dev/plainspec/cmd/webhook/app"
)

func main() {
	// A second signal ends the process at once.
	if err := app.NewCommand().ExecuteContext(signals.SetupSignalHandler()); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}
