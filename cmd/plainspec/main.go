// The plainspec command judges, explains and completes manifests before they are applied.
package main

import (
	"context"
	"os"
	"time"

	"golang.org/x/term"
)

func main() {
	color := os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(os.Stdout.Fd()))
	root := newRoot(os.Args[0], streams{
		in: os.Stdin, out: os.Stdout, err: os.Stderr, color: color, terminal: term.IsTerminal(int(os.Stderr.Fd())),
	}, time.Now())
	// Signals keep their meaning: reading standard input must end at an interrupt.
	os.Exit(run(context.Background(), root, os.Args[1:]))
}
