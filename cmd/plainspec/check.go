package main

import (
	"time"

	"github.com/spf13/cobra"

	"plainspec.dev/plainspec/internal/check"
)

func newCheck(name string, s streams, now time.Time) *cobra.Command {
	var f flags
	command := &cobra.Command{
		Use:   "check -f FILE",
		Short: "Judge manifests as the server would",
		Long: `Judge manifests as the server would, without a cluster.

Each object is completed (see render) and then judged, as if somebody created it now. What is
completed and what is taken for granted (operation, user, namespace, enforcement) is said on
standard error. Artifacts that manifests ask for are injected by the profiles of --config.

Exit codes: 0 everything would be admitted, 1 something would be denied, 2 something could not
be read or judged, or the policies or the configuration do not load.`,
		Example: "  " + name + " check -f pod.yaml\n  " + name + " check -R -f deploy/ -o json\n  helm template . | " + name + " check -f -",
		Args:    noArguments,
		RunE: func(command *cobra.Command, _ []string) error {
			judged, err := judge(command, &f, s, now, (*check.Checker).Check)
			switch {
			case err != nil:
				return err
			case judged.Incomplete():
				return errIncomplete
			case judged.Denied():
				return errDenied
			}
			return nil
		},
	}
	f.addJudging(command)
	return command
}
