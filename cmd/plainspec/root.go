package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// The exit codes. A batch that is partly unreadable ends with codeBad even if the rest is denied:
// its answer is not complete.
const (
	codeOK     = 0
	codeDenied = 1
	codeBad    = 2
)

// streams are where the command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
	color    bool // out takes colors
	terminal bool // somebody watches err
}

// errDenied and errIncomplete end the command with a code and without a further line: what there
// is to say has been said.
var (
	errDenied     = errors.New("denied")
	errIncomplete = errors.New("incomplete")
)

// run runs the command and returns its exit code.
func run(ctx context.Context, root *cobra.Command, args []string) int {
	root.SetArgs(args)
	switch err := root.ExecuteContext(ctx); {
	case err == nil:
		return codeOK
	case errors.Is(err, errDenied):
		return codeDenied
	case errors.Is(err, errIncomplete):
		return codeBad
	default:
		root.PrintErrln("error: " + strings.TrimRight(err.Error(), "\n"))
		return codeBad
	}
}

// newRoot returns the command under the name by which it was called: as a plugin, that is
// "kubectl plainspec".
func newRoot(program string, s streams, now time.Time) *cobra.Command {
	name := "plainspec"
	if strings.HasPrefix(filepath.Base(program), "kubectl-") {
		name = "kubectl plainspec"
	}
	root := &cobra.Command{
		Use:           "plainspec",
		Short:         "Say which version of what a manifest runs, and whether it says so",
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: name},
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	root.SetFlagErrorFunc(func(command *cobra.Command, err error) error {
		return fmt.Errorf("%w (see %s --help)", err, command.CommandPath())
	})
	root.AddCommand(newCheck(name, s, now), newExplain(name, s, now), newRender(name, s, now), newReport(name, s, now), newVersion())
	return root
}
