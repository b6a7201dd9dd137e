package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"plainspec.dev/plainspec/internal/check"
	"plainspec.dev/plainspec/internal/manifest"
)

func newRender(name string, s streams, now time.Time) *cobra.Command {
	var f flags
	var diff bool
	command := &cobra.Command{
		Use:   "render -f FILE",
		Short: "Print manifests as the server would complete them",
		Long: `Print manifests as the server would complete them, without a cluster: with the artifacts that they
ask for, and with the resources and labels that the configuration fills in.

What is printed can be applied (kubectl apply -f -). All objects are printed, also those to which
nothing is added. Each is one document with its fields in alphabetical order: comments and the
order of fields are not kept, aliases are written out, and a list is printed as its items.

An object that asks for an artifact that cannot be injected is printed as it is written, and the
reason is said on standard error. Resources are those of the configuration for the namespace, which
-n names but does not write; a LimitRange, which only the cluster knows, comes before them there.

Exit codes: 0 everything is completed, 1 an artifact that is asked for cannot be injected, 2
something could not be read (then nothing is printed), or the policies or the configuration do not
load.`,
		Example: "  " + name + " render -f app.yaml --config plainspec.yaml | kubectl apply -f -\n  " +
			name + " render -R -f deploy/ --config plainspec.yaml --diff",
		Args: noArguments,
		RunE: func(command *cobra.Command, _ []string) error {
			printer, separator := manifest.YAML, "---\n"
			switch f.output {
			case "yaml":
			case "json":
				printer, separator = manifest.JSON, ""
			default:
				return fmt.Errorf("output %q is unknown: use yaml or json", f.output)
			}
			rendered, err := ask(command, &f, s, now, (*check.Checker).Render)
			if err != nil {
				return err
			}
			if diff {
				err = rendered.WriteDiff(s.out, printer, s.color)
			} else {
				err = rendered.Write(s.out, printer, separator)
			}
			switch {
			case err != nil:
				return fmt.Errorf("write result: %w", err)
			case rendered.Incomplete():
				return errIncomplete
			case rendered.Lost():
				return errDenied
			}
			return nil
		},
	}
	f.add(command)
	command.Flags().StringVarP(&f.output, "output", "o", "yaml", "yaml or json")
	command.Flags().BoolVar(&diff, "diff", false, "print only what completion changes, as a unified diff")
	return command
}
