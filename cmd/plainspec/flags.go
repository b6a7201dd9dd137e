package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"plainspec.dev/plainspec/internal/check"
	"plainspec.dev/plainspec/internal/manifest"
)

// flags are what the verbs have in common.
type flags struct {
	manifests manifest.Options
	check     check.Options
	output    string
}

func (f *flags) add(command *cobra.Command) {
	set := command.Flags()
	set.StringSliceVarP(&f.manifests.Paths, "filename", "f", nil, "file or folder (its *.yaml, *.yml and *.json) with manifests, or - for standard input; may be repeated")
	set.BoolVarP(&f.manifests.Recursive, "recursive", "R", false, "read the folders below folders, too")
	set.StringVarP(&f.check.Namespace, "namespace", "n", "", "namespace of objects that name none (default \"default\")")
	set.StringVar(&f.check.Config, "config", "", "a server's configuration file, to answer as that server does")
	set.StringVar(&f.check.Policies, "policies", "", "folder with policies and data over the built-in ones, as the server's flag of this name")
}

// addJudging adds the flags of the verbs that judge.
func (f *flags) addJudging(command *cobra.Command) {
	f.add(command)
	command.Flags().StringVar(&f.check.Enforcement, "enforcement", "", "observe, warn or enforce (default that of --config, else enforce)")
	command.Flags().StringVarP(&f.output, "output", "o", "text", "text or json")
}

// notes are what a reader of an answer should know besides it.
type notes interface {
	WriteNotes(w io.Writer) error
}

// result is what a verb that judges answers.
type result interface {
	notes
	WriteText(w io.Writer, color bool) error
	WriteJSON(w io.Writer) error
	Incomplete() bool
}

// ask reads the manifests, asks a question about them, and writes the notes to the answer.
func ask[T notes](command *cobra.Command, f *flags, s streams, now time.Time, question func(*check.Checker, context.Context, manifest.Batch) T) (answer T, err error) {
	if len(f.manifests.Paths) == 0 {
		return answer, fmt.Errorf("no manifest named: use -f FILE, -f FOLDER or -f - (see %s --help)", command.CommandPath())
	}
	f.check.Now = now
	checker, err := check.New(command.Context(), f.check)
	if err != nil {
		return answer, err
	}
	f.manifests.Stdin = s.in
	answer = question(checker, command.Context(), manifest.Read(f.manifests))
	if err := answer.WriteNotes(s.err); err != nil {
		return answer, fmt.Errorf("write notes: %w", err)
	}
	return answer, nil
}

// judge asks a question and writes the answer.
func judge[T result](command *cobra.Command, f *flags, s streams, now time.Time, question func(*check.Checker, context.Context, manifest.Batch) T) (answer T, err error) {
	if f.output != "text" && f.output != "json" {
		return answer, fmt.Errorf("output %q is unknown: use text or json", f.output)
	}
	if answer, err = ask(command, f, s, now, question); err != nil {
		return answer, err
	}
	if f.output == "json" {
		err = answer.WriteJSON(s.out)
	} else {
		err = answer.WriteText(s.out, s.color)
	}
	if err != nil {
		return answer, fmt.Errorf("write result: %w", err)
	}
	return answer, nil
}

// noArguments refuses arguments and says where they belong.
func noArguments(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("unexpected argument %q: name manifests with -f", args[0])
	}
	return nil
}
