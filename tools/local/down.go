package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"
)

// down stops all that up started and removes what it kept.
func down(ctx context.Context, s state, out io.Writer) error {
	if _, err := os.Stat(s.dir); os.IsNotExist(err) {
		fmt.Fprintln(out, "nothing is running")
		return nil
	}
	release, err := s.exclusive()
	if err != nil {
		return err
	}
	defer release()
	alive, err := s.supervised()
	if err != nil {
		return err
	}
	start := time.Now()
	if err := s.cleanUp(ctx, true); err != nil {
		return err
	}
	if alive {
		fmt.Fprintf(out, "stopped in %s; .local is removed\n", time.Since(start).Round(time.Second))
	} else {
		fmt.Fprintln(out, "nothing is running; what was left in .local is removed")
	}
	return nil
}

// status tells what is running.
func status(ctx context.Context, s state, out io.Writer) error {
	alive, err := s.supervised()
	if err != nil {
		return err
	}
	r, ready := s.running()
	switch {
	case !alive:
		fmt.Fprintln(out, "nothing is running; start it with: make up")
		return nil
	case !ready:
		fmt.Fprintln(out, "starting or stopping")
		return nil
	}
	usable, err := s.usable(ctx)
	if err != nil {
		return err
	}
	answer := "does not answer; run make up again"
	if usable {
		answer = "ready"
	}
	tell(out, "control plane", "%s, since %s", answer, r.Since.Format(time.RFC3339))
	tell(out, "webhook", "%s", r.Webhook)
	tell(out, "KUBECONFIG", "%s", s.kubeconfig())
	tell(out, "logs", "%s", s.logs())
	return nil
}
