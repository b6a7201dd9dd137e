package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"plainspec.dev/plainspec/internal/report"
)

// keptText is what list and html say of records that are not there.
func keptText() string {
	return "Of rejections, " + report.Kept() + `.
Standard error names the namespaces that have as many: older ones of theirs may be missing. What comes
faster than it can be written, in a flood, is not recorded at all (plainspec_rejections_dropped_total).`
}

// rejectionFlags are the filters of list and html.
type rejectionFlags struct {
	namespace, user, since, outcome string
	rules                           []string
}

func (f *rejectionFlags) add(command *cobra.Command) {
	set := command.Flags()
	set.StringVarP(&f.namespace, "namespace", "n", "", "only what was applied to this namespace (default all)")
	set.StringSliceVar(&f.rules, "rule", nil, "only what this rule found, such as image.no_version; may be repeated")
	set.StringVar(&f.user, "user", "", "only requests of the user with this name")
	set.StringVar(&f.since, "since", "", "only what was tried since then: a duration such as 24h or 7d, a date (UTC), or a time as in RFC 3339")
	set.StringVar(&f.outcome, "outcome", "all", "denied, observed (admitted, and refused under enforcement: enforce), bypassed (by a break-glass group) or all")
}

func (f *rejectionFlags) filter(now time.Time) (report.Filter, error) {
	outcome, err := report.ParseOutcome(f.outcome)
	if err != nil {
		return report.Filter{}, err
	}
	filter := report.Filter{Namespace: f.namespace, Rules: f.rules, User: f.user, Outcome: outcome}
	if f.since != "" {
		since, err := report.ParseSince(f.since, now)
		if err != nil {
			return report.Filter{}, err
		}
		filter.Since = &since
	}
	return filter, nil
}

// source returns where records are read.
func (c *clusterFlags) source() (report.Source, error) {
	config, err := c.connect()
	if err != nil {
		return report.Source{}, err
	}
	client, err := report.NewClient(config)
	return report.Source{Client: client, Namespace: c.home}, err
}

// read reads what is asked for. Standard error says if that is nothing, and why it may be, and what may be missing.
func (f *rejectionFlags) read(command *cobra.Command, c *clusterFlags, s streams, now time.Time) (*report.Rejections, error) {
	filter, err := f.filter(now)
	if err != nil {
		return nil, err
	}
	source, err := c.source()
	if err != nil {
		return nil, err
	}
	// Only all of a namespace's records say whether it is full.
	records, err := source.Read(command.Context(), filter.Namespace)
	if err != nil {
		return nil, err
	}
	rejections := report.NewRejections(records, filter, now)
	var notes []string
	if len(rejections.Rejections) == 0 {
		notes = append(notes, source.Nothing(filter, len(records)))
	}
	if note := rejections.Note(); note != "" {
		notes = append(notes, note)
	}
	for _, note := range notes {
		if _, err := io.WriteString(s.err, note+"\n"); err != nil {
			return nil, fmt.Errorf("write notes: %w", err)
		}
	}
	return rejections, nil
}

func newReportList(name string, s streams, now time.Time, c *clusterFlags) *cobra.Command {
	var f rejectionFlags
	var output string
	command := &cobra.Command{
		Use:   "list",
		Short: "List what was refused or would be, the latest first",
		Long: `List what was refused (denied), what would be if Plainspec enforced (observed), and what a break-glass
group got through (bypassed), the latest first. All tries of the same thing by the same user on the
same day (UTC) are one rejection, and COUNT says how many they were.

` + keptText() + `

With -o csv, each finding is a row, and what is said of its rejection stands in each of them.

Exit codes: 0 all that is kept was read, also if it is nothing, 2 it could not be read.`,
		Example: "  " + name + " report list --outcome denied\n  " + name + " report list -n shop --since 7d\n  " + name + " report list --rule image.no_version -o csv",
		Args:    cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			format, err := report.ParseFormat(output, report.FormatTable, report.FormatWide, report.FormatJSON, report.FormatYAML, report.FormatCSV)
			if err != nil {
				return err
			}
			rejections, err := f.read(command, c, s, now)
			if err != nil {
				return err
			}
			if err := rejections.Write(s.out, format); err != nil {
				return fmt.Errorf("write result: %w", err)
			}
			return nil
		},
	}
	f.add(command)
	command.Flags().StringVarP(&output, "output", "o", "table", "table, wide, json, yaml or csv")
	return command
}

func newReportShow(name string, s streams, now time.Time, c *clusterFlags) *cobra.Command {
	var output string
	command := &cobra.Command{
		Use:   "show ID",
		Short: "Show all that is known of one rejection",
		Long: `Show all that is known of one rejection: what was applied, by whom, when and how often, each finding
with its place and its fix, and what the rules read of the manifest.

ID is what the refusal showed after the word "rejection", or its beginning. With -o csv, each finding
is a row.

Exit codes: 0 it is shown, 2 there is no such rejection, or it could not be read.`,
		Example: "  " + name + " report show mfzwizltoq",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || strings.TrimSpace(args[0]) == "" {
				return fmt.Errorf("name one rejection by its id, which the refusal showed and %s report list shows", name)
			}
			return nil
		},
		RunE: func(command *cobra.Command, args []string) error {
			format, err := report.ParseFormat(output, report.FormatText, report.FormatTable, report.FormatWide, report.FormatJSON, report.FormatYAML, report.FormatCSV)
			if err != nil {
				return err
			}
			source, err := c.source()
			if err != nil {
				return err
			}
			record, err := source.Get(command.Context(), args[0])
			if err != nil {
				return err
			}
			if err := report.NewDossier(record).Write(s.out, format, now); err != nil {
				return fmt.Errorf("write result: %w", err)
			}
			return nil
		},
	}
	command.Flags().StringVarP(&output, "output", "o", "text", "text, table, wide, json, yaml or csv")
	return command
}

func newReportHTML(name string, s streams, now time.Time, c *clusterFlags) *cobra.Command {
	var f rejectionFlags
	var file string
	command := &cobra.Command{
		Use:   "html",
		Short: "Write what was refused or would be as a page",
		Long: `Write what was refused (denied), what would be if Plainspec enforced (observed), and what a
break-glass group got through (bypassed) as one page that needs nothing else: counts by rule and
namespace over time, a table, and all that is known of each rejection. It holds no script and loads
nothing.

` + keptText() + `

Exit codes: 0 all that is kept was read, also if it is nothing, 2 the page could not be made.`,
		Example: "  " + name + " report html --since 30d --output-file rejections.html\n  " + name + " report html -n shop > shop.html",
		Args:    cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			rejections, err := f.read(command, c, s, now)
			if err != nil {
				return err
			}
			// Half a page helps nobody: it is whole before anything is written.
			var page bytes.Buffer
			if err := rejections.WritePage(&page); err != nil {
				return err
			}
			if file != "" {
				err = report.WriteFile(file, page.Bytes())
			} else {
				_, err = s.out.Write(page.Bytes())
			}
			if err != nil {
				return fmt.Errorf("write page: %w", err)
			}
			return nil
		},
	}
	f.add(command)
	command.Flags().StringVar(&file, "output-file", "", "file to write or replace, which only you may read then (default standard output)")
	return command
}
