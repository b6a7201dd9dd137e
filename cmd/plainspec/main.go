// The plainspec command judges and explains manifests before they are applied.
package main

import (
	"context"
	"os"
	"os/signal"
	"time"

	"golang.org/x/term"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	color := os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(os.Stdout.Fd()))
	root := newRoot(os.Args[0], streams{in: os.Stdin, out: os.Stdout, err: os.Stderr, color: color}, time.Now())
	code := run(ctx, root, os.Args[1:])
	stop()
	os.Exit(code)
}
