package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"plainspec.dev/plainspec/internal/report"
)

// readinessFlags say what is looked at, by what it is judged, and how it is told.
type readinessFlags struct {
	options       report.ReadinessOptions
	since, output string
	fail          bool
}

func (f *readinessFlags) add(command *cobra.Command) {
	set := command.Flags()
	set.StringVarP(&f.options.Namespace, "namespace", "n", "", "look at this namespace only (default all)")
	set.StringSliceVar(&f.options.Exclude, "exclude-namespace", nil, "leave out this namespace, besides those that the webhook configuration exempts; may be repeated")
	set.StringSliceVar(&f.options.OwnerLabels, "owner-label", report.DefaultOwnerLabels(), "labels that name the team to talk to, on the workload or else on its namespace: the first that is there")
	set.StringVar(&f.since, "since", "7d", "how far back records are read: a duration such as 24h or 7d, a date, or a time as in RFC 3339")
	set.StringVar(&f.options.Config, "config", "", "configuration file to judge by instead of the one in the cluster")
	set.StringVar(&f.options.Policies, "policies", "", "folder with policies and data over the built-in ones, instead of those in the cluster")
	set.Int64Var(&f.options.Source.PageSize, "page-size", 500, "how many objects are asked for at once")
	set.BoolVar(&f.fail, "fail", false, "end with exit code 1 if something would be denied, and with 2 if something could not be read or judged, or nothing was looked at")
	set.StringVarP(&f.output, "output", "o", "table", "table, wide (all workloads and findings), json, yaml or csv")
}

func newReportReadiness(name string, s streams, now time.Time, c *clusterFlags) *cobra.Command {
	var f readinessFlags
	command := &cobra.Command{
		Use:   "readiness",
		Short: "Say what would be denied if the cluster enforced now",
		Long: `Say what would be denied if the cluster enforced now, by namespace and owner.

Two sources are read, with the rights of whoever asks:

- the workloads that live in the cluster and that somebody applied; what a workload controller made
  of them (the ReplicaSets and Pods of a Deployment) is never denied. Each is judged as if somebody
  created it now, by the configuration and the policies in the cluster.
- the records of what was applied lately, admitted, and would be refused; a rule that does not deny
  any more counts for nothing.

The chart's ClusterRole …-readiness-viewer and, in Plainspec's namespace, the Role of that name grant
what is needed; both are named after the release, and both must be bound.

Where the configuration names controllers, what is controlled by a kind that Plainspec does not know
is counted apart: it would be denied unless one of them makes it. --fail lets it pass.

Nothing is changed. Workloads that run would go on running.

Exit codes: 0 the report is complete as far as it says, 2 it could not be made; with --fail also 1
something would be denied, 2 something could not be read or judged, or nothing was looked at.`,
		Example: "  " + name + " report readiness\n  " + name + " report readiness -n shop -o wide\n  " + name + " report readiness --owner-label example.org/team -o csv > readiness.csv",
		Args:    cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return f.run(command, s, now, c)
		},
	}
	f.add(command)
	return command
}

func (f *readinessFlags) run(command *cobra.Command, s streams, now time.Time, c *clusterFlags) error {
	format, err := report.ParseFormat(f.output, report.FormatTable, report.FormatWide, report.FormatJSON, report.FormatYAML, report.FormatCSV)
	if err != nil {
		return err
	}
	o := f.options
	if o.Now, o.Source.Namespace = now, c.home; o.Source.PageSize < 1 {
		return fmt.Errorf("page size %d is too small: ask for at least 1 object at once", o.Source.PageSize)
	}
	if o.Since, err = report.ParseSince(f.since, now); err != nil {
		return err
	}
	source, err := c.source()
	if err != nil {
		return err
	}
	o.Source.Client, o.Named = source.Client, command.Flags().Changed("plainspec-namespace")
	if s.terminal {
		told := 0 // requests
		o.Progress = func(objects, requests int) {
			if requests > told || objects%progressStep == 0 {
				told = requests
				fmt.Fprintf(s.err, "\r%d objects read, %d requests made", objects, requests)
			}
		}
	}
	answer, err := report.AssessReadiness(command.Context(), o)
	if s.terminal {
		fmt.Fprint(s.err, clearLine)
	}
	if err != nil {
		return err
	}
	if err := answer.Write(s.out, format); err != nil {
		return fmt.Errorf("write result: %w", err)
	}
	switch {
	case f.fail && !answer.Complete():
		return errIncomplete
	case f.fail && answer.Denied():
		return errDenied
	}
	return nil
}

const (
	// progressStep is how many objects are read between two words about it: a few of them in a second.
	progressStep = 100
	// clearLine makes a terminal forget a line.
	clearLine = "\r\x1b[K"
)
