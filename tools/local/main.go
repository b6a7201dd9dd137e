// Command local runs a real Kubernetes control plane on this machine with
// Plainspec in front of it, behind "make up" and "make down".
//
// The cluster belongs to a supervisor in the background, which is this program
// again; what it keeps is in the folder .local of the source tree.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := newCommand().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "error: %v\n", err)
		os.Exit(1)
	}
}

func newCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "local",
		Short:         "Run Plainspec in front of a real Kubernetes control plane on this machine",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	chart := false
	upCommand := command("up", "Start the cluster and Plainspec, then apply the examples; run again, it continues",
		func(ctx context.Context, s state, out io.Writer) error {
			if chart {
				return upWithChart(ctx, s, out)
			}
			return up(ctx, s, out)
		})
	upCommand.Flags().BoolVar(&chart, "chart", false, "install Plainspec by its chart, with cert-manager's certificates, instead of running it beside the cluster")
	root.AddCommand(
		upCommand,
		command("down", "Stop the cluster and remove all that it kept", down),
		command("status", "Tell what is running", status),
		command("examples", "Apply the examples to the running cluster", examples),
	)
	hidden := command("supervise", "Own the running cluster (started by up)", supervise)
	hidden.Hidden = true
	root.AddCommand(hidden)
	return root
}

// verb does one thing with the state of the local cluster and tells out.
type verb func(ctx context.Context, s state, out io.Writer) error

func command(use, short string, do verb) *cobra.Command {
	return &cobra.Command{
		Use:   use,
		Short: short,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := findState()
			if err != nil {
				return err
			}
			return do(cmd.Context(), s, cmd.OutOrStdout())
		},
	}
}

// whileParentLives returns a context that also ends when this program's parent
// does: killing make must stop what it started, and that signal reaches make
// alone.
func whileParentLives(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	parent := os.Getppid()
	var watch func()
	watch = func() {
		if os.Getppid() != parent {
			cancel()
		} else if ctx.Err() == nil {
			time.AfterFunc(time.Second/2, watch)
		}
	}
	watch()
	return ctx, cancel
}
