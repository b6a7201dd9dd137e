package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"k8s.io/client-go/tools/clientcmd"

	"plainspec.dev/plainspec/test/cluster"
)

// denied is how kubectl tells that an admission webhook said no; a webhook that
// could not be asked reads differently.
const denied = "denied the request"

// outcome is what became of a manifest.
type outcome string

const (
	admitted outcome = "admitted"
	refused  outcome = "refused"
	// failed means neither: the manifest or the cluster is broken.
	failed outcome = "FAILED"
)

func judge(result cluster.KubectlResult) outcome {
	switch {
	case result.ExitCode == 0:
		return admitted
	case strings.Contains(result.Stderr, denied):
		return refused
	}
	return failed
}

func examples(ctx context.Context, s state, out io.Writer) error {
	if usable, err := s.usable(ctx); err != nil || !usable {
		return errors.Join(errors.New("nothing is running; start it with: make up"), err)
	}
	return applyAll(ctx, s, out)
}

// applyAll applies each manifest of examples/ with kubectl and prints what
// happened, as kubectl shows it.
func applyAll(ctx context.Context, s state, out io.Writer) error {
	files, err := filepath.Glob(filepath.Join(s.root, "examples", "*.yaml"))
	if err != nil || len(files) == 0 {
		return errors.Join(errors.New("find examples: there is no examples/*.yaml"), err)
	}
	fmt.Fprint(out, "\nkubectl apply -f examples/…, each in a namespace of its own (01 in example-01):\n")
	counts := map[outcome]int{}
	for _, file := range files {
		number, _, _ := strings.Cut(filepath.Base(file), "-")
		namespace := "example-" + number
		result, err := s.applyExample(ctx, namespace, filepath.Join("examples", filepath.Base(file)))
		if err != nil {
			return err
		}
		o := judge(result)
		counts[o]++
		fmt.Fprintf(out, "\n%-8s  %s\n%s%s", o, filepath.Base(file), indent(result.Stdout), indent(result.Stderr))
	}
	fmt.Fprintf(out, "\n%d admitted, %d refused\n", counts[admitted], counts[refused])
	if n := counts[failed]; n > 0 {
		return fmt.Errorf("apply examples: %d of %d could neither be admitted nor refused", n, len(files))
	}
	return nil
}

// applyExample applies one manifest as if for the first time: what an earlier
// run left is deleted first, for an unchanged object would not be judged.
func (s state) applyExample(ctx context.Context, namespace, file string) (cluster.KubectlResult, error) {
	config, err := clientcmd.BuildConfigFromFlags("", s.kubeconfig())
	if err != nil {
		return cluster.KubectlResult{}, fmt.Errorf("read kubeconfig: %w", err)
	}
	if err := cluster.CreateNamespace(ctx, config, namespace, true); err != nil {
		return cluster.KubectlResult{}, err
	}
	result, err := s.runKubectl(ctx, "delete", "--namespace="+namespace, "--ignore-not-found", "--timeout=1m", "-f", file)
	if err != nil || result.ExitCode != 0 {
		return result, err
	}
	return s.runKubectl(ctx, "apply", "--namespace="+namespace, "-f", file)
}

func (s state) runKubectl(ctx context.Context, args ...string) (cluster.KubectlResult, error) {
	return cluster.KubectlCommand{Path: s.kubectl(), Kubeconfig: s.kubeconfig(), Dir: s.root, Args: args}.Run(ctx)
}

// indent sets text off from the lines around it.
func indent(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString("          " + strings.TrimRight(line, "\n") + "\n")
	}
	return b.String()
}
