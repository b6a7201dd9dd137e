package main

import (
	"time"

	"github.com/spf13/cobra"

	"plainspec.dev/plainspec/internal/check"
)

func newExplain(name string, s streams, now time.Time) *cobra.Command {
	var f flags
	command := &cobra.Command{
		Use:   "explain -f FILE",
		Short: "Say which version of what manifests run",
		Long: `Say which version of what manifests run: each component with its role, its version, how sure the
version is (digest, exact, floating, moving, path) and where it is written, and what the policies
find about it. Each object is completed first (see render); what the server adds is marked injected.

Exit codes: 0 everything could be explained, 2 something could not be read or judged, or the
policies or the configuration do not load.`,
		Example: "  " + name + " explain -f pod.yaml",
		Args:    noArguments,
		RunE: func(command *cobra.Command, _ []string) error {
			explained, err := judge(command, &f, s, now, (*check.Checker).Explain)
			switch {
			case err != nil:
				return err
			case explained.Incomplete():
				return errIncomplete
			}
			return nil
		},
	}
	f.addJudging(command)
	return command
}
